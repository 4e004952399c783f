"""From a table and a folder of images to one aligned stack in the frame."""
