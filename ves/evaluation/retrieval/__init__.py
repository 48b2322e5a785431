"""Ranks and recalls, by each protocol, with their intervals."""
