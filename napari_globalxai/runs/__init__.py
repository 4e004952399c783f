"""The run folder: the pipeline that fills it, what it remembers, how it goes on after a stop."""
