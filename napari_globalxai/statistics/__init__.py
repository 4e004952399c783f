"""Global maps and statistics: reductions of the store of maps, without the model or torch."""
