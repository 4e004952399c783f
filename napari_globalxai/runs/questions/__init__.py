"""What a finished run is asked of its stored maps, and what is kept of the answer."""
