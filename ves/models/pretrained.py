"""Models of transformers, loaded without its bar over their weights, which fills logs and tells nobody anything.

Bars of downloads are huggingface_hub's, and stay.
"""

from collections.abc import Callable
from typing import Any

from transformers import AutoModel
from transformers.utils import logging


def _no_bar(_: Callable[..., Any], given: tuple[Any, ...], settings: dict[str, Any]) -> logging.EmptyTqdm:
    return logging.EmptyTqdm(*given, **settings)


def load_pretrained(backbone: Any, **settings: Any) -> Any:
    """AutoModel.from_pretrained of a folder, or of an owner/name of the hub."""
    before = logging.set_tqdm_hook(_no_bar)
    try:
        return AutoModel.from_pretrained(backbone, **settings)
    finally:
        logging.set_tqdm_hook(before)
