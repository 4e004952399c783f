"""What is looked at before any model explains: tables, labels, images, cards."""
