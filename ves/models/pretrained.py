"""Models of transformers, loaded whole or not at all.

transformers gives tensors that a file lacks random numbers, and says so in a table of its log only; here that is an
error, and the table is left out. So is its bar over the weights, which fills logs and tells nobody anything. Bars of
downloads are huggingface_hub's, and stay.
"""

import pickle
from collections.abc import Callable, Iterable
from logging import getLogger
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import AutoModel
from transformers.utils import logging

from ves.base.checksums import weight_files

log = getLogger(__name__)

# what the readers of either format raise for a file that is damaged, and transformers for an index
DAMAGE = (SafetensorError, pickle.UnpicklingError, EOFError, OSError, RuntimeError, LookupError)

# parts whose tensors may be missing, since no token depends on them: what summarises an image, and what stands for a
# patch or a frame that is masked (SpecAugment learns it, and a run keeps what was learnt)
IDLE = {"pooler", "mask_token", "masked_spec_embed"}


def _no_bar(_: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> logging.EmptyTqdm:
    return logging.EmptyTqdm(*arguments, **options)


def load_pretrained(folder: Path, **settings: Any) -> Any:
    """AutoModel.from_pretrained of a folder, every tensor of which comes from its files; nothing is asked for.

    Raises ValueError that names the file of the weights and, of the model's tensors, those that it lacks or has in
    another shape.
    """
    found = weight_files(folder)
    weights = found[0] if len(found) == 1 else folder
    hook, verbosity = logging.set_tqdm_hook(_no_bar), logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        model, info = AutoModel.from_pretrained(
            folder, output_loading_info=True, ignore_mismatched_sizes=True, local_files_only=True, **settings
        )
    except DAMAGE as error:
        raise ValueError(f"{weights}: these weights cannot be loaded ({error!r}); bring them again") from error
    finally:
        logging.set_tqdm_hook(hook)
        logging.set_verbosity(verbosity)
    if wrong := sorted(info["mismatched_keys"]):
        shapes = (f"{name} is {list(there)}, not {list(wanted)}" for name, there, wanted in wrong)
        raise ValueError(f"{weights}: of another shape than {folder / 'config.json'} says: {_some(shapes, len(wrong))}")
    if missing := sorted(name for name in info["missing_keys"] if IDLE.isdisjoint(name.split("."))):
        raise ValueError(f"{weights}: without {len(missing)} of the model's tensors: {_some(missing, len(missing))}")
    if unused := sorted(info["unexpected_keys"]):
        log.info("%s: %d tensors are of parts that are not used: %s", weights, len(unused), _some(unused, len(unused)))
    return model


def _some(texts: Iterable[str], count: int, shown: int = 5) -> str:
    """The first of so many texts, in a line."""
    first = [text for text, _ in zip(texts, range(shown), strict=False)]
    return ", ".join(first) + (f" and {count - shown} more" if count > shown else "")
