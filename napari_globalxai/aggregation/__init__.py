"""Global maps and statistics: reductions of the attribution store, without the model."""
