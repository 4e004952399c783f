"""The panel *Regions*: drawn, measured and erased; findings of the audit."""
