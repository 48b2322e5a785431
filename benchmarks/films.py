"""Cutting films into segments on one core: how many times faster than they play, beside a plain loop of PyAV.

    python benchmarks/films.py [--films 4] [--seconds 10] [--repeats 5] [--long 600]

Writes films of 640 x 360 at 25 pictures a second (H.264 by x264's preset `medium`, a moving camera over a texture, a
moving thing, some grain; stereo AAC at 44.1 kHz), and cuts them bound to one core. The plain loop is what a script
does: it decodes everything by `container.decode`, keeps a JPEG of a picture a second, and resamples the sound; it
checks nothing, and takes every 25th picture by counting. Ways take turns. Then the peak of memory before and after one
long film.
"""

import io
import os
import tempfile
from collections.abc import Iterator
from itertools import batched
from pathlib import Path

import av
import harness
import numpy as np
from PIL import Image

from ves.config.corpus import VideoConfig
from ves.media.segments import Cut, Segment, cut
from ves.sources.video.segment_files import write as write_segments
from ves.sources.video.shards import QUALITY, fetch, jpeg

RATE, FPS, SIZE = 44_100, 25, (640, 360)
GROUP = "films-00000000"


def pictures(seconds: int, seed: int) -> Iterator[np.ndarray]:
    """RGB pictures of a film."""
    rng = np.random.default_rng(seed)
    noise = Image.fromarray(rng.integers(0, 255, (90, 160, 3), dtype=np.uint8))
    ground = np.asarray(noise.resize((1280, 720), Image.Resampling.BICUBIC)).astype(np.int16)
    thing = ground[:100, :100, ::-1].copy()
    grain = rng.integers(-4, 5, (8, SIZE[1], SIZE[0], 3))
    for number in range(seconds * FPS):
        x, y = int(100 + 80 * np.sin(number / 30)), int(60 + 50 * np.cos(number / 23))
        view = ground[y : y + SIZE[1], x : x + SIZE[0]].copy()
        place = number * 5 % (SIZE[0] - 100)
        view[130:230, place : place + 100] = thing
        yield np.clip(view + grain[number % 8], 0, 255).astype(np.uint8)


def write(path: Path, seconds: int, seed: int, preset: str = "medium") -> None:
    """Write a film, the sound of each second beside its pictures."""
    with av.open(str(path), "w") as container:
        film = container.add_stream("libx264", rate=FPS, options={"preset": preset, "crf": "23"})
        film.width, film.height, film.pix_fmt = *SIZE, "yuv420p"
        sound = container.add_stream("aac", rate=RATE, layout="stereo")
        cutter = av.AudioResampler("fltp", "stereo", RATE, frame_size=1024)
        rng = np.random.default_rng(seed)
        for second, some in enumerate(batched(pictures(seconds, seed), FPS)):
            block = av.AudioFrame.from_ndarray(rng.normal(0, 0.1, (2, RATE)).astype(np.float32), "fltp", "stereo")
            block.sample_rate, block.pts = RATE, second * RATE
            for piece in cutter.resample(block):
                container.mux(sound.encode(piece))
            for pixels in some:
                container.mux(film.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux([*film.encode(None), *sound.encode(None)])


def plain(path: Path) -> None:
    """The baseline."""
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        resampler = av.AudioResampler("s16", "mono", 16_000)
        sound, kept, number = [], [], 0
        for frame in container.decode(video=0, audio=0):
            if isinstance(frame, av.AudioFrame):
                sound += [block.to_ndarray() for block in resampler.resample(frame)]
            elif isinstance(frame, av.VideoFrame):
                if number % FPS == FPS // 2:
                    frame.to_image().save(encoded := io.BytesIO(), "JPEG", quality=QUALITY)
                    kept.append(encoded.getvalue())
                number += 1


def cut_all(path: Path, frames: int) -> None:
    """Segments of a second with so many pictures each."""
    found = list(cut(path, Cut(segment_s=1.0, frames=frames, side=None, middle=False), jpeg))
    assert all(isinstance(piece, Segment) for piece in found)


def measure(folder: Path, count: int, seconds: int, repeats: int) -> None:
    """Print the table of ways."""
    films = [folder / f"films/{number}.mp4" for number in range(count)]
    films[0].parent.mkdir()
    for number, film in enumerate(films):
        write(film, seconds, number)
    block = VideoConfig(
        folder=str(folder / "films"), layout="films", segment_s=1.0, at="all", frames=1, side=None, table=None,
        language="none", files_per_shard=count,
    )  # fmt: skip
    made = iter(range(1_000_000))
    shards = [folder / f"{name}.parquet" for name in ("audio", "images", "truth")]

    def files() -> None:
        data = folder / f"data{next(made)}"
        write_segments(block, GROUP, data / "segments", data / "parts/x.csv")

    ways = {
        "plain loop, 1 picture a second": lambda: [plain(film) for film in films],
        "cut, 1 picture a second": lambda: [cut_all(film, 1) for film in films],
        "cut, 20 pictures a second": lambda: [cut_all(film, 20) for film in films],
        "cut_films: shards of sound and pictures": lambda: fetch(block, GROUP, *shards),
        "write_segments: MP4 files of a second": files,
    }
    harness.turns(ways, lambda: (), 1)
    spent = harness.turns(ways, lambda: (), repeats)
    harness.header("way", "times real time", "speed, of the plain loop's")
    base = spent["plain loop, 1 picture a second"]
    for name, median in harness.medians(spent).items():
        harness.row(name, f"{count * seconds / median:.1f}", f"{harness.ratio(base, spent[name]):.2f}")


def main() -> None:
    """Print the tables."""
    parser = harness.arguments(__doc__)
    parser.add_argument("--films", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--long", type=int, default=600, help="seconds of the long film")
    settings = parser.parse_args()
    machine = f"one of {harness.machine()}"
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as name, harness.session(machine):
        write(Path(name, "long.mp4"), settings.long, 9, "ultrafast")
        Path("/proc/self/clear_refs").write_text("5")  # the peak of memory begins anew
        measure(Path(name), settings.films, settings.seconds, settings.repeats)
        before = harness.resident("VmHWM")
        for piece in cut(Path(name, "long.mp4"), Cut(segment_s=1.0, frames=1, side=None, middle=False), jpeg):
            assert isinstance(piece, Segment)
        after = harness.resident("VmHWM")
        print(f"\nPeak of memory: {before:.0f} MiB, after a film of {settings.long} s {after:.0f} MiB.")


if __name__ == "__main__":
    main()
