"""Models of transformers, loaded without the progress bar over their weights, which only fills logs.

The progress bars of downloads belong to huggingface_hub and stay.
"""

from collections.abc import Callable
from typing import Any

from transformers import AutoModel
from transformers.utils import logging


def _no_bar(_: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> logging.EmptyTqdm:
    return logging.EmptyTqdm(*arguments, **options)


def load_pretrained(backbone: Any, **settings: Any) -> Any:
    """AutoModel.from_pretrained for a folder, or for an owner/name of the hub."""
    before = logging.set_tqdm_hook(_no_bar)
    try:
        return AutoModel.from_pretrained(backbone, **settings)
    finally:
        logging.set_tqdm_hook(before)
