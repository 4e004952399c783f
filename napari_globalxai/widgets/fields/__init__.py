"""Small parts of forms and panels: fields, folds, tables, pictures."""
