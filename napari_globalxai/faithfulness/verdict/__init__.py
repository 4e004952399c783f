"""From areas and controls to a word, and what that word leaves out."""
