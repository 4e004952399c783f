"""PEPPR on a run: which map, which images, where the results go."""
