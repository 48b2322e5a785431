"""The words of pages for the names in CSV files, which stay as they are, since programs read them."""

COLUMNS = {
    "loss": "objective",
    "denseav_mAP": "DenseAV mAP",
    "denseav_mIoU": "DenseAV mIoU",
    "vggss_cIoU": "VGG-SS cIoU",
    "vggss_AUC": "VGG-SS AUC",
    "mass_inside": "similarity inside",
    "sd": "s.d. over seeds",
    "second": "against",
    "such_as": "what was wrong",
    "wall_s": "seconds by the clock",
    "cpu_s": "seconds of processors",
    "memory_mb": "memory, MB",
}
CELLS = {  # by column: what stands in it
    "protocol": {
        "paper": "one clip to a picture",
        "multi_positive": "all clips of a picture",
        "denseav": "DenseAV",
        "denseav_difference": "DenseAV, less the wrong clip",
        "denseav_per_image": "DenseAV, per picture",
        "vggss": "VGG-SS",
    },
    "metric": {"mass_inside": "similarity inside", "mean_rank": "mean rank", "median_rank": "median rank"},
    "heat": {"wrong_clip": "wrong clip", "mean_mask": "mean mask", "chance": "chance: patches shuffled"},
}
SPELT = ("reason", "stage")  # columns of names, whose underscores are spaces


def column(name: str) -> str:
    """The heading of a column."""
    return COLUMNS.get(name, name.replace("_", " "))


def cell(column: str, content: str) -> str:
    """The text of a cell of a column."""
    if column in SPELT:
        return content.replace("_", " ")
    return CELLS.get(column, {}).get(content, content)
