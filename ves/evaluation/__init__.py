"""Numbers about a checkpoint; the only package below report that may open the truth."""
