"""Where spoken nouns point, by each protocol, beside what the numbers mean."""
