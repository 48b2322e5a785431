"""Heatmaps of some validation clips: which patches each spoken word is like, by the models side by side.

The heat of a word is the mean, over its audio tokens, of their similarity to each patch: the rule that localisation is
measured by (ves.localisation), so the marked patch is the one that was or was not a hit. One colour scale serves all
panels of a clip, from the least to the greatest similarity in any of them. It hides nothing by stretching a flat map,
and it flatters no model by a scale of its own; where that leaves a model pale, the marked patch still shows where it
points. Clips are chosen by a hash, spread over the languages (ves.spoken.choose). A corpus that knows no word timings
gets the moments of sharpest similarity, marked as such.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from PIL import Image

from ves import gallery
from ves.comparison import Comparison, compare
from ves.config import DataPaths
from ves.files import atomic, remove, write_json
from ves.gallery import Row
from ves.overlay import Box
from ves.plate import Plate, compose, overview
from ves.progress import track
from ves.spoken import Spoken, choose, phrases, shown_words
from ves.truth import NoTruth, decode_mask, objects

log = logging.getLogger(__name__)

Masks = Mapping[tuple[str, int], bytes]  # encoded, by image_id and object


def _masks(truth: Path, clips: pl.DataFrame) -> Masks:
    """Objects of which anything can be seen; empty where the corpus has no masks."""
    wanted = clips.select("image_id", shard="image_shard").unique()
    try:
        rows = objects(truth, wanted).filter(pl.col("visible_pixels") > 0)
    except NoTruth:
        return {}
    return {(row["image_id"], row["object"]): row["mask"] for row in rows.iter_rows(named=True)}


def _to_show(comparison: Comparison, clip: Row, told: Sequence[Row], masks: Masks) -> list[Spoken]:
    """Words that the models hear and the picture shows (where masks tell); none if they name fewer than two objects."""
    heard = [word for word in phrases(told) if comparison.heard(clip["clip_row"], word)]
    shown = shown_words(word for word in heard if not masks or (clip["image_id"], word.object) in masks)
    return shown if len({word.object for word in shown}) >= 2 else []


def _plates(comparison: Comparison, data: DataPaths, pictures: Path, truth: Path, count: int) -> list[Plate]:
    """The clips of the gallery with all that is drawn of them, in the order they were chosen in."""
    table = gallery.located(comparison.first, data)
    told, masks = gallery.told(truth, table), _masks(truth, table)
    clips = {row["clip_id"]: row for row in table.iter_rows(named=True)}
    spoken = {name: _to_show(comparison, clips[name], told[name], masks) for name in told}
    naming = [name for name, shown in spoken.items() if shown]
    if told and not naming:
        raise ValueError(f"{truth}: no validation clip names two objects that its picture shows; make the corpus again")
    plates = []
    for name in choose({name: str(clips[name]["language"]) for name in naming or clips}, count):
        clip, rows = clips[name], told.get(name, [])
        shown = spoken.get(name) or comparison.sharpest(clip["clip_row"])
        encoded = [masks.get((clip["image_id"], word.object)) for word in shown]
        plates.append(
            Plate(
                clip_id=name,
                language=str(clip["language"]),
                description=" ".join(row["text"] for row in rows),
                gloss=" · ".join(phrase.english for phrase in phrases(rows)),
                picture=gallery.picture(pictures, clip),
                image_size=comparison.attrs["image_size"],
                fit=comparison.attrs["fit"],
                spoken=shown,
                masks=[None if mask is None else decode_mask(mask) for mask in encoded],
                heats=comparison.heats(clip["clip_row"], shown),
            )
        )
    return plates


def _save(page: Image.Image, path: Path) -> None:
    with atomic(path) as temporary:
        page.save(temporary, "PNG")


def _entry(plate: Plate, file: str, boxes: Mapping[tuple[str, int], Box]) -> dict[str, Any]:
    """What index.json says of a plate: the words, the ends of its colours, where its panels lie in the file."""
    said = [{"text": w.text, "english": w.english, "start_s": w.start_s, "end_s": w.end_s} for w in plate.spoken]
    panels = [{"run": run, "word": word, "box": box} for (run, word), box in boxes.items()]
    about = {"clip_id": plate.clip_id, "language": plate.language, "file": file}
    return about | {"words": said, "scale": [plate.scale.low, plate.scale.high], "panels": panels}


def draw(runs: list[Path], data: DataPaths, pictures: Path, truth: Path, clips: int, out: Path) -> None:
    """Draw `clips` validation clips by these runs (run directories, embedded) into the folder `out`.

    One PNG per clip, overview.png with the first of them, and index.json, written last; what an earlier drawing left
    there is removed first. Same input, same bytes. `truth` may be absent. Raises ValueError when the runs are not of
    the same clips, no clip can be shown, or a description has a character that no font has.
    """
    plates = _plates(compare(runs), data, pictures, truth, clips)
    if len(plates) < clips:
        log.warning("only %d validation clips have something to show, %d were asked for", len(plates), clips)
    for old in (out / "index.json", *out.glob("*.png")):
        remove(old)
    entries = []
    for plate in track(plates, label="heatmaps", unit="clip"):
        file = f"{re.sub('[^a-z]+', '-', plate.language.lower())}-{plate.clip_id[:8]}.png"
        page, boxes = compose(plate)
        _save(page, out / file)
        entries.append(_entry(plate, file, boxes))
    _save(overview(plates), out / "overview.png")
    write_json(out / "index.json", {"overview": "overview.png", "clips": entries})
