"""Whether what a JSON file holds has the form that it should have: files are damaged, and edited by hand."""

import json
from typing import Any, TypeGuard

GREATEST = 2**48  # of any whole number in a file of ours: rows, samples, bytes


def fits(content: Any, form: Any) -> TypeGuard[Any]:
    """Whether `content` is of that form.

    A form is a type (`int` is not negative, and no more than GREATEST), a list of one form for all items, a tuple of
    several of which one will do, or a dict of the keys that are needed.
    """
    if isinstance(form, tuple):
        return any(fits(content, one) for one in form)
    if isinstance(form, dict):
        return isinstance(content, dict) and all(key in content and fits(content[key], form[key]) for key in form)
    if isinstance(form, list):
        return isinstance(content, list) and all(fits(item, form[0]) for item in content)
    if form is int:
        return type(content) is int and 0 <= content <= GREATEST  # True is an int to Python
    return isinstance(content, form)


def same(content: Any, other: Any) -> bool:
    """Whether both are the same JSON, where True is not 1 and 1 is not 1.0; the order of keys does not matter."""
    return json.dumps(content, sort_keys=True) == json.dumps(other, sort_keys=True)
