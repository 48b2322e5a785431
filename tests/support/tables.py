"""What the tables are asked for, in tests."""

from pathlib import Path

from ves.config.check import read_yaml, validate

ROOT = Path(__file__).parents[2]


def config(table, seeds):
    content = read_yaml(ROOT / "config.yaml") | {"table": table, "seeds": seeds}
    return validate(content, [ROOT / "config.yaml"])
