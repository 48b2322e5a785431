"""Films of Sounding Scenes as MP4: segments `{vid}_{seg}.mp4` of a second, the input of AV-Align's own code.

By them the video source is tested on films that it has not made. A picture stands for a second, at 10 frames a second.
"""

import csv
from pathlib import Path

from ves.base.files import atomic
from ves.base.progress import track
from ves.config.corpus import SoundingConfig
from ves.media.encoding import even
from ves.media.encoding import write as write_film
from ves.sources.scenes.recording import SAMPLE_RATE
from ves.sources.sounding.films import Film, Plan
from ves.sources.sounding.pictures import Pictures

FRAMES_A_SECOND = 10
COLUMNS = ("vid", "seg", "file", "start_s")  # as of ves.sources.video.segment_files


def write(settings: SoundingConfig, part: int, folder: Path, out: Path) -> None:
    """Write the segments of the films of one shard into `folder`, each whole or not at all, and last their table.

    Segments that are there are kept: their names say what they must be, as long as the settings stay the same. Raises
    ValueError for a part that the corpus does not have.
    """
    if not 0 <= part < settings.shards:
        raise ValueError(f"part: {part} is not one of the {settings.shards} shards, 0 to {settings.shards - 1}")
    plan, rows = Plan(settings), []
    for number in track(plan.films_of(part), label=f"films {part}", unit="film"):
        for second in range(round(settings.seconds)):
            path = folder / f"{number}_{second}.mp4"
            if not path.is_file():
                _write_second(path, plan.film(number), second)
            rows.append((number, second, f"film-{number:06d}", float(second)))
    with atomic(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def _write_second(path: Path, film: Film, second: int) -> None:
    pixels = even(Pictures(film).drawn(second)[1].image)
    samples = film.track.samples[second * SAMPLE_RATE : (second + 1) * SAMPLE_RATE]
    write_film(path, iter([pixels] * FRAMES_A_SECOND), FRAMES_A_SECOND, samples)
