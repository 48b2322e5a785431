"""Write the explorer of a corpus: some validation clips and what every run finds in them, in one folder."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ves.base.files import atomic
from ves.base.progress import track
from ves.config.experiment import DataPaths
from ves.media.encoding import THUMBNAIL_SIDE, aac, jpeg
from ves.report.clips.comparison import Comparison, compare
from ves.report.clips.lookup import Corpus
from ves.report.clips.views import views
from ves.report.drawing import lettering
from ves.report.explorer.folder import Page, finish, show
from ves.report.explorer.neighbours import Retrieved, clips_of, pictures_of

log = logging.getLogger(__name__)

LARGEST = 25e6  # bytes of a page that one still sends to somebody
ABOUT = "A hash chose the clips, in turn from every language, not a score or a person."


class _Neighbours:
    """What runs retrieve for the clips of a comparison, as the page shows it: pictures, and clips with their sound."""

    def __init__(self, comparison: Comparison, corpus: Corpus, page: Page) -> None:
        self.seconds, self.corpus, self.page = comparison.attrs["seconds"], corpus, page
        self.clips = {row["clip_row"]: row for row in corpus.clips.values()}
        self.images = {row["image_row"]: row for row in self.clips.values()}

    def pictures(self, retrieved: Retrieved) -> dict[str, Any]:
        """The pictures that a clip retrieves."""
        top = []
        for image, right in zip(retrieved.items, retrieved.right, strict=True):
            row = self.images[image]
            name = f"{row['image_id'][:32]}.jpg"
            if not self.page.has(name):
                self.page.media(name, jpeg(self.corpus.picture(row), THUMBNAIL_SIDE))
            top.append({"picture": f"media/{name}", "right": right})
        return {"rank": retrieved.rank, "of": retrieved.of, "top": top}

    def speech(self, retrieved: Retrieved) -> dict[str, Any]:
        """The clips that a picture retrieves."""
        top = []
        for clip, right in zip(retrieved.items, retrieved.right, strict=True):
            row = self.clips[clip]
            name = f"{row['clip_id']}.m4a"
            if not self.page.has(name):
                self.page.media(name, aac(self.corpus.samples(row, self.seconds)))
            lang = lettering.FORMS.get(str(row["language"]), "")
            about = {"id": row["clip_id"], "sound": f"media/{name}", "right": right, "lang": lang}
            top.append(about | _texts(self.corpus, row["clip_id"]))
        return {"rank": retrieved.rank, "of": retrieved.of, "top": top}


def _texts(corpus: Corpus, clip: str) -> dict[str, str]:
    """Language, description and its English."""
    phrases = corpus.phrases.get(clip, [])
    return {
        "language": str(corpus.clips[clip]["language"]),
        "description": " ".join(phrase.text for phrase in phrases),
        "gloss": " · ".join(phrase.english for phrase in phrases),
    }


def write(
    runs: list[Path], data: DataPaths, pictures: Path, truth: Path, clips: int, out: Path, back: str | None = None
) -> None:
    """Write the explorer of `clips` validation clips by these runs (run directories, embedded) into the folder `out`.

    It replaces an earlier one whole, and links back to the address `back`. Same input, same bytes. `truth` may be
    absent: moments of sharpest similarity then stand for words. Raises ValueError when the runs are not of the same
    clips.
    """
    comparison = compare(runs)
    corpus = Corpus(comparison.first, data, pictures, truth)
    viewings = views(comparison, corpus, clips)
    if len(viewings) < clips:
        log.warning("only %d validation clips have something to show, %d were asked for", len(viewings), clips)
    rows = [corpus.clips[viewing.clip_id]["clip_row"] for viewing in viewings]
    retrieved = {run: (pictures_of(stored, rows), clips_of(stored, rows)) for run, stored in comparison.runs.items()}
    with atomic(out) as temporary:
        page = Page(temporary)
        neighbours, entries = _Neighbours(comparison, corpus, page), []
        for place, viewing in enumerate(track(viewings, label="explorer", unit="clip")):
            of_clip: Mapping[str, Mapping[str, Any]] = {
                run: {"pictures": neighbours.pictures(pictures[place]), "clips": neighbours.speech(speech[place])}
                for run, (pictures, speech) in retrieved.items()
            }
            entries.append(show(page, viewing, comparison.attrs["seconds"], of_clip))
        if (size := page.size()) > LARGEST:
            log.warning("the explorer has %.0f MB; fewer clips (`explorer.clips`) make it smaller", size / 1e6)
        texts = [_texts(corpus, clip)["description"] for clip in corpus.clips]
        about = f"{ABOUT} Corpus: {data.corpus}; {len(corpus.clips)} clips to retrieve from."
        finish(page, entries, texts, about, back)
