"""The two towers, their backbones and their features; a trained run for a caller."""
