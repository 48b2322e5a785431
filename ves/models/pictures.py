"""What the image tower of a run is given for each picture (`train.features`), and the files that this depends on.

store     patch tokens computed once by the frozen backbone (ves.store)
live      the same tokens, computed anew at every read (ves.models.live)
pixels    the picture itself, for a backbone that is trained as a part of the tower (ves.models.pixels)
"""

from pathlib import Path

from ves.config.experiment import DataPaths, VisionConfig
from ves.config.fields import read
from ves.models.backbone import local_files
from ves.models.live import LiveFeatures
from ves.models.pixels import Pixels
from ves.store.features_reader import FeatureStore, open_features


def open_pictures(data: DataPaths) -> FeatureStore | LiveFeatures | Pixels:
    """The source of a run's patch tokens or pixels."""
    if data.input == "store":
        return open_features(Path(data.features))
    source = LiveFeatures if data.input == "live" else Pixels
    return source(Path(data.features), Path(data.images))


def records(data: DataPaths) -> list[Path]:
    """Files whose content decides them: the store's manifest; without a store, the settings and a local backbone."""
    if data.input == "store":
        return [Path(f"{data.features}.manifest.json")]
    return [Path(data.features), *local_files(read(VisionConfig, Path(data.features)).backbone)]
