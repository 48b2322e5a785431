"""Films of Sounding Scenes as MP4: segments `{vid}_{seg}.mp4` of a second, the input of AV-Align's own code.

By them the video source is tested on films that it has not made. A picture stands for a second, at 10 frames a second.
"""

import csv
from pathlib import Path

from ves.base.files import atomic, read_json, same, write_json
from ves.base.progress import track
from ves.config.corpus import SoundingConfig
from ves.media.encoding import even
from ves.media.encoding import write as write_film
from ves.sources.scenes.recording import SAMPLE_RATE
from ves.sources.sounding import origins
from ves.sources.sounding.films import Plan
from ves.sources.sounding.pictures import Pictures

FRAMES_A_SECOND = 10
COLUMNS = ("vid", "seg", "file", "start_s")  # as of ves.sources.video.segment_files


def write(settings: SoundingConfig, part: int, folder: Path, out: Path) -> None:
    """Write the segments of the films of one shard into `folder`, each whole or not at all, and last their table.

    Segments that are there are kept if they were written by the same settings, words and things, and removed if not.
    Raises ValueError for a part that the corpus does not have.
    """
    if not 0 <= part < settings.shards:
        raise ValueError(f"part: {part} is not one of the {settings.shards} shards, 0 to {settings.shards - 1}")
    plan, rows = Plan(settings), []
    numbers = plan.films_of(part)
    _remove_others(settings, part, numbers, folder, out.with_suffix(".json"))
    for number in track(numbers, label=f"films {part}", unit="film"):
        film = plan.film(number)
        pictures = Pictures(film)  # one a film: its seconds share the backdrop and the sound
        for second in range(pictures.seconds):
            path = folder / f"{number}_{second}.mp4"
            if not path.is_file():
                _write_second(path, pictures, second)
            rows.append((number, second, f"film-{number:06d}", float(second)))
    with atomic(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def _remove_others(settings: SoundingConfig, part: int, numbers: list[int], folder: Path, state: Path) -> None:
    """Remove segments of other settings under the numbers of this part, or under numbers that no film has now.

    `state` has what the present ones were made of. It is written last, so that a removal that is cut short is repeated.
    """
    origin = {"origin": origins(settings)[f"audio/films-{part:03d}"]}
    if state.is_file() and same(read_json(state), origin):
        return
    mine = set(numbers)
    for path in folder.glob("*_*.mp4"):
        vid = path.stem.partition("_")[0]
        if vid.isdecimal() and (int(vid) in mine or int(vid) >= settings.films):
            path.unlink(missing_ok=True)  # another part may remove the same one
    write_json(state, origin)


def _write_second(path: Path, pictures: Pictures, second: int) -> None:
    pixels = even(pictures.drawn(second)[1].image)
    samples = pictures.film.track.samples[second * SAMPLE_RATE : (second + 1) * SAMPLE_RATE]
    write_film(path, iter([pixels] * FRAMES_A_SECOND), FRAMES_A_SECOND, samples)
