"""Image files of every kind, read as RGB with where their pixels lie."""
