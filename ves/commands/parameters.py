"""Arguments that several stages have: their kind, their line of help and, where people type them, a check."""

from pathlib import Path
from typing import Annotated

from ves.commands import presence

# What people name
Run = Annotated[Path, "the run: its folder, such as results/scenes/dense-s0", presence.run]
TrainedRun = Annotated[Path, "a trained run: its folder, such as results/scenes/dense-s0", presence.trained]
EmbeddedRuns = Annotated[list[Path], "the runs to compare: their folders, with embeddings of val", presence.embedded]
Store = Annotated[Path, "the store: its folder, such as data/scenes/audio.zarr", presence.store]
ConfigFiles = Annotated[list[Path], "configuration files, laid over ./config.yaml in turn", presence.file]
Clips = Annotated[int, "how many validation clips to show"]

# Settings that the workflow writes
Corpus = Annotated[Path, "corpus.json: the settings of the corpus"]
Vision = Annotated[Path, "vision.json: the settings of the vision backbone"]
Table = Annotated[Path, "table.json: the settings of the tables, such as which runs they have"]
Results = Annotated[Path, "the folder results/<corpus>, with the runs"]

# Files of a corpus
Listing = Annotated[Path, "the list of the shards, shards.json or choice.json"]
Shard = Annotated[str, "the name of the shard, as the list has it"]
Source = Annotated[Path, "the shard as it was fetched: a parquet file"]
Survey = Annotated[Path, "survey.json: the summary of the survey"]
SurveyFolder = Annotated[Path, "the folder of the survey, with a table of each file"]
Manifest = Annotated[Path, "manifest.parquet: the clips"]
Images = Annotated[Path, "images.parquet: the distinct pictures"]
Refused = Annotated[Path, "refused.parquet: the clips and pictures left out"]
Pictures = Annotated[Path, "the folder of the accepted pictures, data/<corpus>/images", presence.folder]
PicturesOfRun = Annotated[Path, "the folder of the pictures (default: that of the run's corpus)", presence.folder]
ImagesOfStore = Annotated[Path, "images.parquet (default: that of the corpus around the store)", presence.file]
PicturesOfStore = Annotated[Path, "the folder of the pictures (default: beside images.parquet)", presence.folder]
Features = Annotated[Path, "the feature store: a .zarr folder"]
Truth = Annotated[Path, "the folder of words and objects, data/<corpus>/truth; a corpus need not have one"]
TruthOfRun = Annotated[Path, "the folder of words and objects (default: that of the run's corpus, if it has one)"]

# What evaluation makes
Blocks = Annotated[Path, "the folder of the similarities in blocks, which retrieval stages share"]
Ranks = Annotated[Path, "where to write the rank of every query (parquet)"]
