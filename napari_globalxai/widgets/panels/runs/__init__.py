"""Runs: those opened before, a second one beside, files that have moved since."""
