"""Models of transformers, loaded completely or not at all.

transformers fills tensors that are missing from a file with random numbers and only logs a table of them. Here this is
an error. The table is switched off, and so is the progress bar over the weights, which only fills logs. The progress
bars of downloads belong to huggingface_hub and stay.
"""

import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import AutoModel
from transformers.utils import logging as transformers_logging

from ves.base.checksums import weight_files

log = logging.getLogger(__name__)

# raised by the readers of either format for a damaged file, and by transformers for a damaged index
DAMAGE = (SafetensorError, pickle.UnpicklingError, EOFError, OSError, RuntimeError, LookupError)

# parts whose tensors may be missing, since no token depends on them: the summary of an image, and the stand-in for a
# masked patch or frame (with SpecAugment, training learns the latter and stores it with the run)
UNUSED = {"pooler", "mask_token", "masked_spec_embed"}


def _no_bar(
    _: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]
) -> transformers_logging.EmptyTqdm:
    return transformers_logging.EmptyTqdm(*arguments, **options)


def load_pretrained(folder: Path, **settings: Any) -> Any:
    """AutoModel.from_pretrained for a local folder, without network requests; every tensor comes from its files.

    Raises ValueError that names the weight file, and the tensors that are missing or have another shape.
    """
    files = weight_files(folder)
    weights = files[0] if len(files) == 1 else folder
    hook, verbosity = transformers_logging.set_tqdm_hook(_no_bar), transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        model, info = AutoModel.from_pretrained(
            folder, output_loading_info=True, ignore_mismatched_sizes=True, local_files_only=True, **settings
        )
    except DAMAGE as error:
        raise ValueError(
            f"{weights}: these weights cannot be loaded ({error!r}); copy or download them again"
        ) from error
    finally:
        transformers_logging.set_tqdm_hook(hook)
        transformers_logging.set_verbosity(verbosity)
    if mismatches := sorted(info["mismatched_keys"]):
        shapes = [f"{name} is {list(stored)}, not {list(expected)}" for name, stored, expected in mismatches]
        raise ValueError(f"{weights}: other shapes than {folder / 'config.json'} asks for: {_first(shapes)}")
    if missing := sorted(name for name in info["missing_keys"] if UNUSED.isdisjoint(name.split("."))):
        raise ValueError(f"{weights}: {len(missing)} of the model's tensors are missing: {_first(missing)}")
    if unused := sorted(info["unexpected_keys"]):
        log.info("%s: %d tensors belong to no part of this model: %s", weights, len(unused), _first(unused))
    return model


def _first(texts: list[str], count: int = 5) -> str:
    """The first few texts, and how many more there are."""
    return ", ".join(texts[:count]) + (f" and {len(texts) - count} more" if len(texts) > count else "")
