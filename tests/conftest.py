"""Shapes in signatures are checked in every test: jaxtyping's hook wraps ves with beartype, under pytest only."""

import os

# before torch is imported: the machines that test this have 2 cores, and others use them too
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

install_import_hook("ves", "beartype.beartype")

# a machine that does much else at once draws slowly: that says nothing of a test
settings.register_profile("ves", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ves")

pytest_plugins = ["tiny_corpus"]
