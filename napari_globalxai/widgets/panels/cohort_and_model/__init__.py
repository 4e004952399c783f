"""The next run: its table and model, what was recognised in them, the card."""
