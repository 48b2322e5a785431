"""Figures, films and pages of clips: what the runs find."""

from pathlib import Path
from typing import Annotated, Unpack

from ves.base.cpu import one_core
from ves.commands import parameters, presence
from ves.config import experiment


def _shown(
    runs: list[Path], clips: int, pictures: Path | None, truth: Path | None
) -> tuple[list[Path], experiment.DataPaths, Path, Path, int]:
    """What is drawn of clips, in the order that the functions below take it: the runs, the files of their corpus, its
    pictures and truth, and the number of clips. Raises ValueError if the truth is that of another corpus."""
    from ves.evaluation.truth import folder_of

    data = experiment.run_config(runs[0]).data
    return runs, data, pictures or Path(data.images).parent / "images", folder_of(data, truth), clips


def heatmaps(
    *,
    out: Annotated[Path, "folder to write the gallery into"],
    back: parameters.Back | None = None,
    **shown: Unpack[parameters.ShownClips],
) -> None:
    """Draw heatmaps and films of validation clips, with the runs side by side."""
    one_core()
    from ves.report.clips.gallery import draw

    draw(*_shown(**shown), out, back)


def explorer(
    *,
    out: Annotated[Path, "folder to write the page into"],
    back: parameters.Back | None = None,
    **shown: Unpack[parameters.ShownClips],
) -> None:
    """Make a page that plays clips and shows what the runs find.

    For some validation clips, it shows what each run finds in the picture at each moment.
    """
    one_core()
    from ves.report.explorer.build import write

    write(*_shown(**shown), out, back)


def figure1(
    *,
    out: Annotated[Path, "where to write the figure (PNG); a PDF is written beside it"],
    **shown: Unpack[parameters.ShownClips],
) -> None:
    """Draw Figure 1: words of some validation clips, with the runs side by side."""
    one_core()
    from ves.report.clips.figure1 import draw

    draw(*_shown(**shown), out)


def words(
    run: Annotated[Path, "folder of the run, with embeddings of val", presence.embedded],
    *,
    truth: parameters.Truth,
    out: Annotated[Path, "where to write the table (CSV)"],
    plot: Annotated[Path, "where to draw the map of words (PNG)"],
    pointing: Annotated[Path, "where to draw pointing by word (PNG)"],
) -> None:
    """Compare the words of all languages, and where they point."""
    one_core()
    from ves.evaluation.truth import folder_of
    from ves.report.tables.words import write

    own = folder_of(experiment.run_config(run).data, truth)
    write(run, run / "embeddings" / "val.zarr", own, out, plot, pointing)


def localise(
    picture: Annotated[Path, "picture, in any format that Pillow reads", presence.file],
    audio: Annotated[Path, "recording or film of any length", presence.file],
    *,
    run: parameters.TrainedRun,
    out: Annotated[Path, "folder to write into"],
) -> None:
    """Show what a run finds in your picture while it hears your recording.

    The recording may be anything that libsndfile or FFmpeg reads. The folder OUT gets a PNG, a film and a page; their
    names are printed.
    """
    from ves.models.localise import load
    from ves.report.localise_page import write

    for file in write(load(run).localise(picture, audio), out):
        print(file)


STAGES = (heatmaps, explorer, figure1, words, localise)
