"""The settings as types, and the one place that reads them.

`experiment` has every block of config.yaml but `corpus` and what is shown (`display`); `fields` what all blocks share.
`load` reads and checks files of configuration, `read` one JSON file that the workflow wrote for a stage.
"""

from ves.config.check import load
from ves.config.corpus import CorpusConfig
from ves.config.experiment import Config, RunConfig, SplitConfig, TableConfig, VisionConfig
from ves.config.fields import read
from ves.config.train import TrainConfig

__all__ = [
    "Config",
    "CorpusConfig",
    "RunConfig",
    "SplitConfig",
    "TableConfig",
    "TrainConfig",
    "VisionConfig",
    "load",
    "read",
]
