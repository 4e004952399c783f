"""The panel *All images*: a table in step with slider and maps."""
