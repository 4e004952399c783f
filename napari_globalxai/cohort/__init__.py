"""The cohort: a table of images, and what its columns mean."""
