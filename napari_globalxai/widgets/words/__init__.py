"""Words, numbers and colours of the panels."""
