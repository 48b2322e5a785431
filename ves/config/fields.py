"""What the blocks of the configuration share: how strict they are, and the types and bounds of their values."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model, model_serializer

from ves.base.files import read_json

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what every generator takes
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]  # becomes a folder name and part of a target


class Section(BaseModel):
    """A block of the configuration: unknown keys are errors, numbers are finite, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def one_of(names: tuple[str, ...]) -> AfterValidator:
    """Validator: the value is one of the names."""

    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"{name!r} is not one of {', '.join(names)}")
        return name

    return AfterValidator(check)


class Overrides(Section):
    """Some keys of a block, to be laid over it; `model_fields_set` has those that are given."""

    @model_serializer(mode="wrap")
    def _given(self, whole: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        return {key: value for key, value in whole(self).items() if key in self.model_fields_set}


def overrides(block: type[Section]) -> type[Overrides]:
    """A model of the keys and types of a block, where any may be absent. What spans keys is checked of the whole."""
    hints = get_type_hints(block, include_extras=True)
    fields: dict[str, Any] = {key: (hints[key], None) for key in block.model_fields}
    return create_model(f"{block.__name__}Overrides", __base__=Overrides, **fields)


def read[T: Section](kind: type[T], path: Path) -> T:
    """A JSON file as a section. Raises ValueError, one line that names the file and every key which is wrong."""
    try:
        return kind.model_validate(read_json(path))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].lower()}" for fault in error.errors()]
        raise ValueError(f"{path}: not a {kind.__name__}: {'; '.join(faults)}") from None
