"""How a network runs: formats, what is put around it, what is folded into what."""
