"""Whether a global map is faithful to the model.

PEPPR, Progressive Erasing Plus Progressive Restoration, with its controls and verdicts.
"""
