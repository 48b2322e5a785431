"""Faces of packages that load nothing until something of them is asked for (PEP 562).

Importing a file of a package runs the package's `__init__` first; one that imported torch would make every reader of a
store wait for it.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def face(package: str, doors: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package that offers names, each from the module that `doors` says.

    Any other name raises AttributeError, whereupon Python looks for a file of that name.
    """

    def get(name: str) -> Any:
        if name not in doors:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(doors[name]), name)

    return get, lambda: sorted(doors)
