"""The panels of the workbench, a room each, and the parts that each is made of."""
