"""Files in which people save models, read without running code from them."""
