"""The panel *Global explanations*: which maps are shown, of which images, and how."""
