"""The Hugging Face hub: listing, verified download, and what is done when it is in trouble."""
