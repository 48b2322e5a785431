"""Arrays on disk that are valid zarr, written by many and read by row; no model, no corpus."""
