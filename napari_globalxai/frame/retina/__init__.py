"""What is true of eyes only: disc and macula, sides, the atlas, registration onto it."""
