"""The log of a training without its times, which differ each time."""

import json
from pathlib import Path
from typing import Any

TIMES = {"seconds", "data_wait"}


def log_of(run: Path) -> list[dict[str, Any]]:
    """The lines of log.jsonl."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]
