"""Figures of a run (matplotlib, without a display) and its HTML report."""
