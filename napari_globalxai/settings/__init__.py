"""Every choice that a person has, once: command line, forms, record and Python are made from it."""
