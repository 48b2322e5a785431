"""How alike a clip and an image are."""
