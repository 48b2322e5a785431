"""The rows that are chosen of a shard: how the listing identifies them, for the choice and for ingest alike."""

import hashlib
from typing import Any

import numpy as np
from jaxtyping import UInt32


def chosen_entry(rows: UInt32[np.ndarray, " n"]) -> dict[str, Any]:
    """The listing's entry `chosen` of a shard: number and hash of its chosen rows, which are ascending."""
    return {"rows": len(rows), "sha256": hashlib.sha256(rows.astype("<u4").tobytes()).hexdigest()}
