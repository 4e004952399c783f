"""What an opened run reads when it is asked: maps, its model, native pixels, warnings."""
