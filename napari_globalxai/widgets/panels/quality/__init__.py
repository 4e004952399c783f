"""The panel *Quality control*: the cohort before any model is involved."""
