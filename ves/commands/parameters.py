"""Arguments that several stages share: type, line of help and, for those that people type, a check."""

from pathlib import Path
from typing import Annotated, TypedDict

from ves.commands import presence

# Typed by people
Run = Annotated[Path, "folder of the run, such as results/scenes/dense-s0", presence.run]
TrainedRun = Annotated[Path, "folder of a trained run, such as results/scenes/dense-s0", presence.trained]
EmbeddedRuns = Annotated[list[Path], "folders of the runs to compare, with embeddings of val", presence.embedded]
Store = Annotated[Path, "folder of the store, such as data/scenes/audio.zarr", presence.store]
ConfigFiles = Annotated[list[Path], "configuration files, which override ./config.yaml in turn", presence.file]
Clips = Annotated[int, "number of validation clips to show"]
Back = Annotated[str, "address of the page to link back to, relative to the written one (default: no link)"]

# Settings files, written by the workflow
Corpus = Annotated[Path, "corpus.json: the settings of the corpus"]
Vision = Annotated[Path, "vision.json: the settings of the vision backbone"]
Table = Annotated[Path, "table.json: the settings of the tables, such as their runs"]
Results = Annotated[Path, "folder results/<corpus>, which has the runs"]

# Files of a corpus
Listing = Annotated[Path, "list of the shards: shards.json or choice.json"]
Shard = Annotated[str, "name of the shard in that list"]
Source = Annotated[Path, "the raw shard (parquet)"]
Survey = Annotated[Path, "survey.json: the summary of the survey"]
SurveyFolder = Annotated[Path, "folder of the survey, with a table for each file"]
Manifest = Annotated[Path, "manifest.parquet: the clips"]
Images = Annotated[Path, "images.parquet: the distinct pictures"]
Refused = Annotated[Path, "refused.parquet: the clips and pictures that were left out"]
Pictures = Annotated[Path, "folder of the accepted pictures, data/<corpus>/images", presence.folder]
PicturesOfRun = Annotated[Path, "folder of the pictures (default: that of the run's corpus)", presence.folder]
ImagesOfStore = Annotated[
    Path, "images.parquet (default: that of the corpus which the store belongs to)", presence.file
]
PicturesOfStore = Annotated[Path, "folder of the pictures (default: images/ beside images.parquet)", presence.folder]
Features = Annotated[Path, "feature store: a .zarr folder"]
Truth = Annotated[Path, "folder of word timings and object masks, data/<corpus>/truth; absent if its kind has none"]
TruthOfRun = Annotated[Path, "folder of word timings and object masks (default: that of the run's corpus)"]

# Made by evaluation
Blocks = Annotated[Path, "folder of blocks of similarities, which the retrieval stages share"]
Ranks = Annotated[Path, "where to write the rank of every query (parquet)"]


class ShownClips(TypedDict):
    """Validation clips to show, and where their pictures and words are."""

    runs: EmbeddedRuns
    clips: Clips
    pictures: PicturesOfRun | None
    truth: TruthOfRun | None
