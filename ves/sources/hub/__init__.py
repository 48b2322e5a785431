"""The Hugging Face hub: listings, verified downloads, and retries when the hub is in trouble."""
