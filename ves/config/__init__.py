"""The settings as types, and the one place that reads them."""
