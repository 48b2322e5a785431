"""The gallery: some validation clips, each as a plate, a strip and a film, and four-panel rows of all of them.

The heat of a word is the mean, over its audio tokens, of their similarity to each patch: the rule that localisation is
measured by (ves.evaluation.localisation.measure), so the marked patch is the one that was or was not a hit. The panels
of a plate share one scale; strips and films show single moments, and share one over all moments and runs of the clip
(Viewing.scale). So no flat map is stretched, and no model has a scale of its own that flatters it; where hardly
anything is lit, the marked patch still shows where a model points. Plates and strips are there twice: as spotlights,
and in colours with their scale, which the page shows when asked for exact values. A hash chooses the clips, spread over
the languages (ves.report.clips.spoken.choose). Without word timings the moments of sharpest similarity are shown, and
say so.

index.html shows the film, the plate and the strip of every clip on one page, which opens from disk. Descriptions in
their own scripts are in the pictures, which have our fonts; the page itself is in Latin letters.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ves.base.files import atomic, remove, write_json
from ves.base.progress import track
from ves.config.experiment import DataPaths
from ves.media.encoding import jpeg
from ves.report.clips import panels, strips
from ves.report.clips.comparison import compare
from ves.report.clips.films import film, poster
from ves.report.clips.lookup import Corpus
from ves.report.clips.plate import Plate, compose, panel, plate_of
from ves.report.clips.viewing import Viewing
from ves.report.clips.views import views
from ves.report.drawing.overlay import Box
from ves.report.drawing.page import save, size_within
from ves.report.html import render

log = logging.getLogger(__name__)

THUMBNAIL = (320, 240)  # a thumbnail fits in


def _entry(plate: Plate, name: str, boxes: Mapping[tuple[str, int], Box]) -> dict[str, Any]:
    """The entry of a clip in index.json: its files, words, ends of the colour scale, and the places of its panels."""
    words = [{"text": w.text, "english": w.english, "start_s": w.start_s, "end_s": w.end_s} for w in plate.spoken]
    places = [{"run": run, "word": word, "box": box} for (run, word), box in boxes.items()]
    about = {"clip_id": plate.clip_id, "language": plate.language, "gloss": plate.gloss, "file": f"{name}.png"}
    about |= {"strip": f"{name}-strip.png", "film": f"{name}.mp4", "poster": f"{name}.jpg"}
    about |= {"thumbnail": f"{name}-thumb.jpg", "file_values": f"{name}-values.png"}
    about |= {"strip_values": f"{name}-strip-values.png"}
    return about | {"words": words, "scale": [plate.scale.low, plate.scale.high], "panels": places}


def _draw(viewing: Viewing, runs: list[str], out: Path) -> dict[str, Any]:
    """Draw everything of one clip; returns its entry for index.json."""
    plate = plate_of(viewing)
    page, boxes = compose(plate)
    save(page, out / f"{viewing.name}.png")
    save(compose(plate, values=True)[0], out / f"{viewing.name}-values.png")
    save(strips.compose(viewing), out / f"{viewing.name}-strip.png")
    save(strips.compose(viewing, values=True), out / f"{viewing.name}-strip-values.png")
    film(viewing, runs, out / f"{viewing.name}.mp4")
    still = poster(viewing, runs)
    (out / f"{viewing.name}.jpg").write_bytes(jpeg(still, max(still.size)))
    first = plate_of(viewing.first())
    thumbnail = panel(first, runs[0], 0, size_within(viewing.picture, THUMBNAIL))
    (out / f"{viewing.name}-thumb.jpg").write_bytes(jpeg(thumbnail, max(THUMBNAIL)))
    return _entry(plate, viewing.name, boxes)


def draw(
    runs: list[Path], data: DataPaths, pictures: Path, truth: Path, clips: int, out: Path, back: str | None = None
) -> None:
    """Draw `clips` validation clips by these runs (run directories, embedded) into the folder `out`. The page links
    back to the address `back`.

    <clip>.png, <clip>-strip.png (both again as -values.png) and <clip>.mp4 for each, with its poster and a thumbnail;
    panels-<run>.png, a page index.html of them all, and index.json, written last; what an earlier drawing left there is
    removed first. Same input, same bytes. `truth` may be absent. Raises ValueError when the runs do not have the same
    clips, when no clip can be shown, and for a character in a description that no font has.
    """
    comparison = compare(runs)
    viewings = views(comparison, Corpus(comparison.first, data, pictures, truth), clips)
    if len(viewings) < clips:
        log.warning("only %d validation clips have something to show, %d were asked for", len(viewings), clips)
    for old in (out / "index.json", *(old for kind in ("png", "mp4", "jpg") for old in out.glob(f"*.{kind}"))):
        remove(old)
    order = list(comparison.by_locality().runs)
    entries = [_draw(viewing, order, out) for viewing in track(viewings, label="heatmaps", unit="clip")]
    plates = [plate_of(viewing.first()) for viewing in viewings]
    rows = {run: f"panels-{run}.png" for run in comparison.runs}
    for run, file in rows.items():
        save(panels.compose(plates, run), out / file)
    with atomic(out / "index.html") as temporary:
        page = render("gallery.html", title="VeS gallery", back=back, clips=entries, four_panels=rows)
        temporary.write_text(page, encoding="utf-8")
    write_json(out / "index.json", {"four_panels": rows, "clips": entries})
