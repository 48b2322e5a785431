"""VeS: which pixels does a spoken word mean?

The packages, from the ground up. Each imports from itself and from those in brackets, and from no other.

    base (nothing): what any project needs from its machine: files that appear whole, locks, cores, signals
    config (base): the settings as types, and the one place that reads them
    similarity (base): how alike a clip and an image are
    losses (base): what training minimises, from a matrix of similarities
    media (base): bytes to waveforms and pixels, and back; where a patch or a frame lies
    store (base, media): arrays on disk that are valid zarr, written by many and read by row
    sources (base, config, media, store): where pairs come from: what there is and how it is fetched, for each kind
    corpus (base, config, media, store, sources): from shards to clips, manifest and splits, the same for every source
    models (base, config, media, store, similarity): the two towers, their backbones and features; a run for a caller
    training (base, config, media, store, similarity, losses, models): one run, from its recipe to its checkpoint
    evaluation (base, config, media, store, similarity, models, training): numbers about a checkpoint
    report (all above): pages, tables, figures and films out of numbers and stores; it computes no metric
    commands (all above): the command line, a stage for each job of the workflow

Two columns stand side by side and meet only in report and commands: sources and corpus, whose import loads no torch;
and similarity, losses, models, training and evaluation, which know no source and no corpus.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ves.models.localise import Localiser


def load(run: Path | str) -> "Localiser":
    """A trained run, for pictures and voices of your own: ves.load(run).localise(picture, audio). See
    ves.models.localise."""
    from ves.models.localise import load  # only now: most parts of ves are used without torch

    return load(run)
