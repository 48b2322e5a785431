"""What a backbone expects its input to be, as its preprocessor_config.json says.

transformers has this in classes that are chosen by further settings and load torchvision. The few keys that matter here
are read from the file: sizes and crops are not among them, since `vision.fit` and `audio.seconds` decide these.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ves.base.files import read_json
from ves.media.normalisation import IMAGENET, LEVEL, Channels, Normalisation
from ves.models.backbone import PREPROCESSING, check_kind

IMAGENET_KINDS = ("dinov2", "dinov2_with_registers", "dinov3_vit")  # what a folder without the file is taken for


def of_pictures(folder: Path) -> Normalisation:
    """Mean, deviation and rescaling of a vision backbone.

    Without the file a DINO is given ImageNet's. Raises ValueError that names folder or file, key and remedy for
    another kind of model without it, or where a number is missing or none.
    """
    if (found := _read(folder, "image_processor")) is None:
        if (kind := check_kind("vision.backbone", folder)["model_type"]) in IMAGENET_KINDS:
            return IMAGENET
        raise ValueError(
            f"{folder}: no preprocessor_config.json, which says by what mean and deviation pictures are normalised for "
            f"a {kind}; bring that of the published model"
        )
    path, settings = found
    rescale = 1.0
    if _switch(path, settings, "do_rescale", True):
        (rescale,) = _numbers(path, "rescale_factor", settings.get("rescale_factor", LEVEL), 1)
    if not _switch(path, settings, "do_normalize", True):
        return Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), rescale)
    mean, std = (_channels(path, settings, key) for key in ("image_mean", "image_std"))
    if min(std) <= 0:
        raise ValueError(f"{path}: image_std: {list(std)} are not all above 0")
    return Normalisation(mean, std, rescale)


def of_sound(folder: Path) -> bool:
    """Whether a speech backbone expects zero mean and unit variance of each clip (`do_normalize`).

    Without the file: no; the peak of a clip is 1 anyway (ves.media.audio.window). Raises ValueError that names the
    file for what is no such, or for another sampling rate than 16 kHz.
    """
    if (found := _read(folder, "feature_extractor")) is None:
        return False
    path, settings = found
    if settings.get("sampling_rate", 16_000) != 16_000:
        raise ValueError(f"{path}: sampling_rate: {settings['sampling_rate']}, but VeS hears at 16000 Hz")
    return _switch(path, settings, "do_normalize", True)  # transformers' default, where the file leaves it out


def _read(folder: Path, part: str) -> tuple[Path, Mapping[str, Any]] | None:
    """The file and its settings; None where there is none."""
    alone, several = (folder / name for name in PREPROCESSING)
    for path in (alone, several):
        if not path.is_file():
            continue
        settings = read_json(path)
        if isinstance(settings, dict) and path == several:
            settings = settings.get(part)
            if settings is None:
                continue
        if not isinstance(settings, dict):
            raise ValueError(f"{path}: not the settings of a preprocessor; bring that of the published model")
        return path, settings
    return None


def _switch(path: Path, settings: Mapping[str, Any], key: str, default: bool) -> bool:
    """A setting that is true or false; null is the default. Raises ValueError that names file and key."""
    value = settings.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise ValueError(f"{path}: {key}: {value!r} is neither true nor false")
    return value


def _channels(path: Path, settings: Mapping[str, Any], key: str) -> Channels:
    """A number for each of red, green and blue; one alone is of all three."""
    if (value := settings.get(key)) is None:
        raise ValueError(f"{path}: no {key}, which pictures are normalised by; bring that of the published model")
    if isinstance(value, int | float):
        value = [value] * 3
    red, green, blue = _numbers(path, key, value, 3)
    return red, green, blue


def _numbers(path: Path, key: str, value: Any, count: int) -> list[float]:
    """So many numbers. Raises ValueError that names file and key."""
    numbers = value if isinstance(value, list) else [value]
    if len(numbers) != count or not all(isinstance(one, int | float) for one in numbers):
        raise ValueError(f"{path}: {key}: {value!r} is not {count} number{'s' * (count > 1)}")
    return [float(one) for one in numbers]
