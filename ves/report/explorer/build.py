"""Write the explorer of a corpus: what is shown of some validation clips, by every run, in one folder."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from ves.base.files import atomic
from ves.base.progress import track
from ves.config.experiment import DataPaths
from ves.media.audio import RATE
from ves.media.encoding import THUMBNAIL_SIDE, aac, jpeg
from ves.report.clips import lookup
from ves.report.clips.comparison import Comparison, compare
from ves.report.clips.spoken import phrases
from ves.report.clips.viewing import views
from ves.report.drawing import lettering
from ves.report.explorer.folder import Page, finish, show
from ves.report.explorer.neighbours import Retrieved, clips_of, pictures_of
from ves.store.audio import AudioStore

log = logging.getLogger(__name__)

LARGEST = 25e6  # bytes of a page that one still sends to somebody
ABOUT = "Clips are chosen by a hash, in turn from every language; no score and nobody's taste chose them."


class _Corpus:
    """What is read of a corpus for its explorer: sound, pictures and words of the clips of a comparison."""

    def __init__(self, comparison: Comparison, data: DataPaths, pictures: Path, truth: Path) -> None:
        self.comparison, self.pictures = comparison, pictures
        self.located = lookup.located(comparison.first, data)
        self.clips = {row["clip_row"]: row for row in self.located.iter_rows(named=True)}
        self.of_image = {row["image_row"]: row for row in self.clips.values()}
        self.audio = AudioStore(Path(data.audio))
        self.words = lookup.told(truth, self.located)

    def samples(self, clip_row: int) -> np.ndarray:
        """What the models hear of a clip, int16."""
        clip = self.clips[clip_row]
        limit = round(self.comparison.attrs["seconds"] * RATE)
        return self.audio.read(clip["shard"], clip["row"], limit)

    def texts(self, clip_row: int) -> dict[str, str]:
        """Language, description and its English."""
        clip = self.clips[clip_row]
        rows = self.words.get(clip["clip_id"], [])
        return {
            "language": str(clip["language"]),
            "description": " ".join(row["text"] for row in rows),
            "gloss": " · ".join(phrase.english for phrase in phrases(rows)),
        }

    def found_pictures(self, page: Page, found: Retrieved) -> dict[str, Any]:
        """The pictures that a clip retrieves, as the page shows them."""
        top = []
        for image, right in zip(found.items, found.right, strict=True):
            row = self.of_image[image]
            name = f"{row['image_id'][:32]}.jpg"
            if not (page.folder / "media" / name).exists():
                page.media(name, jpeg(lookup.picture(self.pictures, row), THUMBNAIL_SIDE))
            top.append({"picture": f"media/{name}", "right": right})
        return {"rank": found.rank, "of": found.of, "top": top}

    def found_clips(self, page: Page, found: Retrieved) -> dict[str, Any]:
        """The clips that a picture retrieves, likewise."""
        top = []
        for clip_row, right in zip(found.items, found.right, strict=True):
            clip_id = self.clips[clip_row]["clip_id"]
            name = f"{clip_id}.m4a"
            if not (page.folder / "media" / name).exists():
                page.media(name, aac(self.samples(clip_row)))
            texts = self.texts(clip_row)
            lang = lettering.FORMS.get(texts["language"], "")
            top.append({"id": clip_id, "sound": f"media/{name}", "right": right, "lang": lang} | texts)
        return {"rank": found.rank, "of": found.of, "top": top}


def write(runs: list[Path], data: DataPaths, pictures: Path, truth: Path, clips: int, out: Path) -> None:
    """Write the explorer of `clips` validation clips by these runs (run directories, embedded) into the folder `out`.

    It replaces an earlier one whole. Same input, same bytes. `truth` may be absent: moments of sharpest similarity then
    stand for words. Raises ValueError when the runs are not of the same clips.
    """
    comparison = compare(runs)
    shown = views(comparison, data, pictures, truth, clips)
    if len(shown) < clips:
        log.warning("only %d validation clips have something to show, %d were asked for", len(shown), clips)
    corpus = _Corpus(comparison, data, pictures, truth)
    row_of = {row["clip_id"]: clip_row for clip_row, row in corpus.clips.items()}
    rows = [row_of[viewing.clip_id] for viewing in shown]
    found = {run: (pictures_of(stored, rows), clips_of(stored, rows)) for run, stored in comparison.runs.items()}
    with atomic(out) as temporary:
        page, entries = Page(temporary), []
        for place, viewing in enumerate(track(shown, label="explorer", unit="clip")):
            neighbours = {
                run: {
                    "pictures": corpus.found_pictures(page, nearest[place]),
                    "clips": corpus.found_clips(page, speech[place]),
                }
                for run, (nearest, speech) in found.items()
            }
            entries.append(show(page, viewing, comparison.attrs["seconds"], neighbours))
        texts = [corpus.texts(clip_row)["description"] for clip_row in corpus.clips]
        size = sum(file.stat().st_size for file in page.folder.rglob("*"))
        if size > LARGEST:
            log.warning("the explorer has %.0f MB; fewer clips (`explorer.clips`) make it smaller", size / 1e6)
        finish(page, entries, texts, f"{ABOUT} Corpus: {data.corpus}; {len(corpus.clips)} clips to retrieve from.")
