"""What the blocks of the configuration share: how strict they are, and the types and bounds of their values."""

import ast
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what every generator takes
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]  # becomes a folder name and part of a target


class Section(BaseModel):
    """A block of the configuration: unknown keys are errors, numbers are finite, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def registered(module: str, registry: str) -> tuple[str, ...]:
    """Keys of the dict literal `registry` in ves/<module>.py, read from its source: importing torch takes seconds."""
    tree = ast.parse((Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and ast.unparse(node.targets[0]) == registry
            and isinstance(node.value, ast.Dict)
        ):
            return tuple(ast.literal_eval(key) for key in node.value.keys if key is not None)
    raise LookupError(f"ves/{module}.py: no dict literal named {registry}")
