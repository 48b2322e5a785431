"""The parts of a model: the words by which rates, freezing, checkpoints and logs speak of its weights.

audio.backbone and image.backbone are pretrained networks, audio.head and image.head all that stands between them and
the shared space, scale is 1/temperature.
"""

PREFIXES = {  # how the names of a part's weights begin (ves.models.towers.VeS)
    "audio.backbone": ("audio.backbone.",),
    "audio.head": ("audio.head.",),
    "image.backbone": ("visual.backbone.",),
    "image.head": ("visual.layers.", "visual.head."),
    "scale": ("log_scale",),
}


def part_of(name: str) -> str:
    """The part that a weight belongs to, by its name in the model. Raises ValueError for one that has none."""
    for part, prefixes in PREFIXES.items():
        if name.startswith(prefixes):
            return part
    raise ValueError(f"{name}: no part of a model has weights of this name")
