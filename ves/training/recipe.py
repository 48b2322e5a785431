"""What decides the weights of a run, as keys and values that can be compared and named.

A checkpoint records its recipe, and only a run with the same recipe may resume from it. The paths of files, the name of
the run, and how often what is written are not part of it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ves.base.checksums import file_sha256, weight_hash
from ves.config.experiment import TRAINING, RunConfig
from ves.models import preprocessing
from ves.models.audio_tower import speech_folder
from ves.models.pictures import records

BOOKKEEPING = {
    "keep_checkpoints",
    "checkpoint_every",
    "evaluate_every",
    "max_skipped",
    "gradient_checkpointing",
}  # of `train`

# keys of the speech backbone; the second is present only when true, since older versions never normalised
SPEECH_WEIGHTS, SPEECH_NORMALISED = "audio.backbone weights", "audio.backbone do_normalize"

Recipe = dict[str, Any]


def recipe(config: RunConfig) -> Recipe:
    """Dotted keys of the configuration with their values, the version of the code, and digests of the data.

    The data are the clips with their splits and the manifests of both stores; digests are of their content, and of the
    weights of the speech backbone.
    """
    decisive = config.model_dump(mode="json", exclude={"run": True, "data": True, "train": BOOKKEEPING})
    keys = dict(_flat("", decisive)) | {"ves.config.experiment.TRAINING": TRAINING}
    data, folder = config.data, speech_folder(config.audio)
    files = {
        "data.manifest": Path(data.manifest),
        "data.splits": Path(data.splits),
        "data.audio": Path(f"{data.audio}.manifest.json"),
    }
    settings, *local = records(data)
    files |= {"data.features": settings, **{f"data.features {path.name}": path for path in local}}
    keys |= {key: digest(path) for key, path in files.items()} | {SPEECH_WEIGHTS: f"sha256:{weight_hash(folder)}"}
    return keys | ({SPEECH_NORMALISED: True} if preprocessing.of_sound(folder) else {})


def digest(path: Path) -> str:
    """sha256 of a file, as `sha256:<hex>`. Raises OSError that names the file when it cannot be read."""
    return f"sha256:{file_sha256(path)}"


def _flat(prefix: str, section: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """(dotted key, value) of a nested mapping; an objective, whose keys are no settings, is one value."""
    out: list[tuple[str, Any]] = []
    for key, value in section.items():
        whole = not isinstance(value, dict) or (prefix == "train." and key not in ("augment", "rates"))
        out += [(prefix + key, value)] if whole else _flat(f"{prefix}{key}.", value)
    return out


def differences(old: Recipe, new: Recipe) -> list[str]:
    """A line for each difference: `key: old -> new`, or `key: content changed`.

    A recipe without the hash of speech weights comes from a version without that key and counts as the same weights.
    """
    lines = []
    for key in sorted(old.keys() | new.keys()):
        if key == SPEECH_WEIGHTS and key not in old:
            continue
        before, after = old.get(key), new.get(key)
        if before != after:
            hashed = all(isinstance(value, str) and value.startswith("sha256:") for value in (before, after))
            lines.append(f"{key}: {'content changed' if hashed else f'{_shown(before)} -> {_shown(after)}'}")
    return lines


def _shown(value: Any) -> str:
    return "(none)" if value is None else json.dumps(value, ensure_ascii=False)
