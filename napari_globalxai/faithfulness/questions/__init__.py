"""Other questions than one map on a cohort: maps compared, regions, image by image."""
