"""The words of a table of the lexicon."""

from typing import Any


def strings(node: Any) -> list[str]:
    """All texts in a mapping of mappings."""
    if isinstance(node, dict):
        return [text for value in node.values() for text in strings(value)]
    return [node] if isinstance(node, str) else []
