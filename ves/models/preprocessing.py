"""How a backbone expects its input to be normalised: its preprocessor_config.json.

transformers reads this file with classes that need torchvision. Only a few keys matter here; sizes and crops are not
among them, since `vision.image_size`, `vision.fit` and `audio.seconds` decide these.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ves.base.files import read_json
from ves.media.normalisation import IMAGENET, LEVEL, Channels, Normalisation
from ves.models.backbone import PREPROCESSING, check_kind

IMAGENET_KINDS = ("dinov2", "dinov2_with_registers", "dinov3_vit")  # for a folder without the file


def of_pictures(folder: Path) -> Normalisation:
    """Mean, standard deviation and rescaling for a vision backbone; without the file, those of ImageNet for a DINO.

    Raises ValueError that names folder or file, key and remedy when another kind of model has no such file, or when a
    value is missing or not a number.
    """
    if (content := _read(folder, "image_processor")) is None:
        if (kind := check_kind("vision.backbone", folder)["model_type"]) in IMAGENET_KINDS:
            return IMAGENET
        raise ValueError(
            f"{folder}: no preprocessor_config.json, and so no mean and standard deviation of pictures for a {kind}; "
            "copy the file of the published model here"
        )
    path, settings = content
    rescale = 1.0
    if _switch(path, settings, "do_rescale", True):
        (rescale,) = _numbers(path, "rescale_factor", settings.get("rescale_factor", LEVEL), 1)
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if _switch(path, settings, "do_normalize", True):
        mean, std = _channels(path, settings, "image_mean"), _deviation(path, settings)
    if str(settings.get("image_processor_type", "")).startswith("EfficientNet"):
        return _of_efficientnet(path, settings, Normalisation(mean, std, rescale))
    return Normalisation(mean, std, rescale)


def _of_efficientnet(path: Path, settings: Mapping[str, Any], plain: Normalisation) -> Normalisation:
    """What transformers' EfficientNetImageProcessor does besides: `include_top` divides by image_std once more, and
    `rescale_offset` takes 1 from the rescaled picture. Both keys default as there."""
    mean, std = plain.mean, plain.std
    if _switch(path, settings, "do_rescale", True) and _switch(path, settings, "rescale_offset", False):
        mean = (mean[0] + 1, mean[1] + 1, mean[2] + 1)
    if _switch(path, settings, "include_top", True):
        red, green, blue = _deviation(path, settings)
        std = (std[0] * red, std[1] * green, std[2] * blue)
    return Normalisation(mean, std, plain.rescale)


def of_sound(folder: Path) -> bool:
    """Whether a speech backbone expects clips of zero mean and unit variance (`do_normalize`).

    Those that do not get a peak of 1 (ves.media.audio.window). So do those without the file whose first layer has a
    group norm over time: it undoes any loudness. Raises ValueError that names the folder when another has no such file,
    or the file when it is damaged, or asks for another sampling rate than 16 kHz.
    """
    if (content := _read(folder, "feature_extractor")) is None:
        if check_kind("audio.backbone", folder).get("feat_extract_norm", "group") == "group":  # transformers' default
            return False
        raise ValueError(
            f"{folder}: no preprocessor_config.json, so it is unknown whether its clips have unit variance, and "
            'feat_extract_norm "layer" in its config.json does not undo their loudness; copy the file of the published '
            'model here, or write {"do_normalize": false} into one if it learned from clips with a peak of 1'
        )
    path, settings = content
    if settings.get("sampling_rate", 16_000) != 16_000:
        raise ValueError(f"{path}: sampling_rate: {settings['sampling_rate']}, but VeS works at 16000 Hz")
    return _switch(path, settings, "do_normalize", True)  # the default of transformers


def _read(folder: Path, part: str) -> tuple[Path, Mapping[str, Any]] | None:
    """The file and its settings; None when there is no such file."""
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
            raise ValueError(f"{path}: not the settings of a preprocessor; copy the file of the published model here")
        return path, settings
    return None


def _switch(path: Path, settings: Mapping[str, Any], key: str, default: bool) -> bool:
    """A setting that is true or false; null means the default. Raises ValueError that names file and key."""
    value = settings.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise ValueError(f"{path}: {key}: {value!r} is neither true nor false")
    return value


def _channels(path: Path, settings: Mapping[str, Any], key: str) -> Channels:
    """A number for each of red, green and blue; a single one is for all three."""
    if (value := settings.get(key)) is None:
        raise ValueError(
            f"{path}: no {key}, by which pictures are normalised; copy the file of the published model here"
        )
    if isinstance(value, int | float):
        value = [value] * 3
    red, green, blue = _numbers(path, key, value, 3)
    return red, green, blue


def _deviation(path: Path, settings: Mapping[str, Any]) -> Channels:
    """The standard deviations. Raises ValueError that names the file unless all are above 0."""
    std = _channels(path, settings, "image_std")
    if min(std) <= 0:
        raise ValueError(f"{path}: image_std: {list(std)} are not all above 0")
    return std


def _numbers(path: Path, key: str, value: Any, count: int) -> list[float]:
    """So many numbers. Raises ValueError that names file and key."""
    numbers = value if isinstance(value, list) else [value]
    if len(numbers) != count or not all(isinstance(one, int | float) for one in numbers):
        raise ValueError(f"{path}: {key}: {value!r} is not {count} number{'s' * (count > 1)}")
    return [float(one) for one in numbers]
