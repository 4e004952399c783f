"""From predictions to curves, areas and fractions, with intervals over patients."""
