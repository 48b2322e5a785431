"""Shapes in signatures are checked in every test: jaxtyping's hook wraps ves with beartype, under pytest only.

Before anything of the project is imported, tests leave what differs from user to user: the folder that they are started
from, and settings of the shell that are meant for other work (which hub and through which proxy, which cluster).
"""

import os
from pathlib import Path

# before torch is imported: the machines that test this have 2 cores, and where these do other work too, threads that
# spin while they wait for each other take three times the processor time. `make test` has a process for each core.
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

os.chdir(Path(__file__).parents[1])  # tests name the project's files from its root
OF_THE_USER = ("HF_", "HUGGING_FACE_", "TRANSFORMERS_", "WANDB_", "SNAKEMAKE_", "TORCHELASTIC_")
OF_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")  # `make test` hands them on, and a make that a test starts obeys them
RANK = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
for name in list(os.environ):
    if name.startswith(OF_THE_USER) or name in RANK + OF_MAKE or name.lower().endswith("_proxy"):
        del os.environ[name]

install_import_hook("ves", "beartype.beartype")

# a machine that does much else at once is slow: that says nothing of a test
settings.register_profile("ves", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ves")

pytest_plugins = ["tests.support.tiny_corpus"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first, or one process of pytest-xdist would be at them when the others have ended."""
    items.sort(key=lambda item: "workflow" not in item.path.parts)
