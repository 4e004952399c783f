"""The model card: what it says, how it is read however incomplete, and how it is written."""
