from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from ves.media import encoding
from ves.media.audio import RATE


def test_no_length_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"film\.mp4: a film needs at least one frame and one sample"):
        encoding.write(tmp_path / "film.mp4", iter(()), 25, np.ones(9, np.int16))
    with pytest.raises(ValueError, match="a film needs"):
        encoding.write(tmp_path / "film.mp4", iter([np.zeros((2, 2, 3), np.uint8)]), 25, np.ones(0, np.int16))
    with pytest.raises(ValueError, match="frames of 25 x 16; sides must be multiples of 2"):
        encoding.write(tmp_path / "film.mp4", iter([np.zeros((16, 25, 3), np.uint8)]), 25, np.ones(9, np.int16))
    assert not list(tmp_path.iterdir())


def test_same_input_same_bytes_whatever_lies_in_memory(tmp_path: Path) -> None:
    draws, found = np.random.default_rng(0), set()
    frames = draws.integers(0, 255, (6, 610, 744, 3), dtype=np.uint8)
    for number in range(5):
        used = [draws.integers(0, 255, 400_000 * (number + part), dtype=np.uint8) for part in range(3)]
        del used
        encoding.write(tmp_path / "film.mp4", iter(frames), 25, np.arange(RATE // 4, dtype=np.int16))
        found.add((tmp_path / "film.mp4").read_bytes())
    assert len(found) == 1


def test_colours_survive_the_encoder(tmp_path: Path) -> None:
    flat = [np.asarray(Image.new("RGB", (64, 64), colour)) for colour in ("#ff3000", "#2060ff")]
    encoding.write(tmp_path / "f.mp4", iter(flat), 25, np.ones(2 * RATE // 25, np.int16))
    with av.open(str(tmp_path / "f.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    for found, wanted in zip(frames, flat, strict=True):
        assert np.abs(found.astype(int) - wanted).max() < 12
