"""What one viewer works on: the run as shown, what was chosen, its jobs, what is remembered."""
