"""One run, from its recipe to its checkpoint.

By module: train (the loop, on one screen) and gradient_cache (the gradient of a step); dataset (PairReader, batches);
hooks (what the loop is handed); checkpoint and recipe (what resumes, and under which settings); log (files of a run).
"""
