"""Where pairs come from: for each kind, what there is and how it is fetched, as shards with the same columns."""
