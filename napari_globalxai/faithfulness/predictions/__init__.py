"""The predictions along orders: made here or by workers, kept, watched."""
