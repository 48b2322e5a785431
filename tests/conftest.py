"""Shapes in signatures are checked in every test: jaxtyping's hook wraps ves with beartype, under pytest only."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")  # before torch is imported: the machines that test this have 2 cores

from jaxtyping import install_import_hook

install_import_hook("ves", "beartype.beartype")

pytest_plugins = ["tiny_corpus"]
