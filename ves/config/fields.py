"""What the blocks of the configuration share: how strict they are, and the types and bounds of their values."""

import ast
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ves.base.files import read_json

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what every generator takes
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]  # becomes a folder name and part of a target


class Section(BaseModel):
    """A block of the configuration: unknown keys are errors, numbers are finite, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def read[T: Section](kind: type[T], path: Path) -> T:
    """A JSON file as a section. Raises ValueError, one line that names the file and every key which is wrong."""
    try:
        return kind.model_validate(read_json(path))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].lower()}" for fault in error.errors()]
        raise ValueError(f"{path}: not a {kind.__name__}: {'; '.join(faults)}") from None


def registered(module: str, registry: str) -> tuple[str, ...]:
    """Keys of the dict literal `registry` in ves.<module>, read from its source: importing torch takes seconds."""
    file = Path(__file__).parents[1] / f"{module.replace('.', '/')}.py"
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and ast.unparse(node.targets[0]) == registry
            and isinstance(node.value, ast.Dict)
        ):
            return tuple(ast.literal_eval(key) for key in node.value.keys if key is not None)
    raise LookupError(f"{file}: no dict literal named {registry}")
