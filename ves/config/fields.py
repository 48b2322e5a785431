"""What all blocks of the configuration share: a strict base model, and types of values with their bounds."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model, model_serializer

from ves.base.files import read_json

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # every random generator takes these
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]  # becomes the name of a folder and part of a target


class StrictModel(BaseModel):
    """A block of settings: an unknown key is an error, numbers are finite, and no value changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def one_of(names: tuple[str, ...]) -> AfterValidator:
    """Validator: the value is one of the names."""

    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"{name!r} is not one of {', '.join(names)}")
        return name

    return AfterValidator(check)


class Overrides(StrictModel):
    """Some keys of a block, which override its own; `model_fields_set` has the keys that are set."""

    @model_serializer(mode="wrap")
    def _only_set(self, whole: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        return {key: value for key, value in whole(self).items() if key in self.model_fields_set}


def overrides(block: type[StrictModel]) -> type[Overrides]:
    """A model with the keys and types of a block, all optional. Checks that span keys are made on the merged block."""
    hints = get_type_hints(block, include_extras=True)
    fields: dict[str, Any] = {key: (hints[key], None) for key in block.model_fields}
    return create_model(f"{block.__name__}Overrides", __base__=Overrides, **fields)


def subset[T: StrictModel](kind: type[T], block: StrictModel, *omit: str) -> T:
    """A smaller model, filled from the keys of the same names in a block; keys in `omit` keep their defaults."""
    return kind(**{key: getattr(block, key) for key in kind.model_fields if key not in omit})


def read[T: StrictModel](kind: type[T], path: Path) -> T:
    """Read a JSON file as a model. Raises ValueError, one line that names the file and every key that is wrong."""
    try:
        return kind.model_validate(read_json(path))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].lower()}" for fault in error.errors()]
        raise ValueError(f"{path}: not a {kind.__name__}: {'; '.join(faults)}") from None
