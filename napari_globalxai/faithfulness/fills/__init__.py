"""What erased pixels are filled with, and what a fill alone does to the model."""
