"""Shapes in signatures are checked in every test: jaxtyping's hook wraps ves with beartype, under pytest only."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")  # before torch is imported: the machines that test this have 2 cores

from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

install_import_hook("ves", "beartype.beartype")

# a machine that does much else at once draws slowly: that says nothing of a test
settings.register_profile("ves", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ves")

pytest_plugins = ["tests.support.tiny_corpus"]
