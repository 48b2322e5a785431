"""What figures look like, against pictures that somebody has looked at: tests/golden/<figure>.png, at half the size.

A change that is meant is looked at and kept: `VES_GOLDEN=write pytest tests/report/clips/test_figures_golden.py`
records them anew.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.viewing import make_untimed_viewing, make_viewing
from ves.report.clips import figure1, films, panels, strips
from ves.report.clips.plate import compose, plate_of

pytestmark = pytest.mark.numbers

GOLDEN = Path(__file__).parents[2] / "golden"
OBJECTIVES = {"dense": {"max_mean": 1.0}, "global": {"mean_mean": 1.0}}
FIGURES = {
    "plate": lambda: compose(plate_of(make_viewing()))[0],
    "strip": lambda: strips.compose(make_viewing((120, 240))),
    "panels": lambda: panels.compose(
        [plate_of(make_viewing(size).first()) for size in ((320, 160), (120, 240))], "dense"
    ),
    "figure1": lambda: figure1.compose([make_viewing(), make_untimed_viewing(fit="pad")], OBJECTIVES),
    "film": lambda: Image.fromarray(list(films.frames(make_viewing(fit="crop"), ["dense", "global"]))[12]),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_look_as_they_did(name: str) -> None:
    """Letters may differ by a hair between versions of FreeType; a panel, a colour or a line that moves is more."""
    page = FIGURES[name]().convert("RGB")
    small = page.resize((page.width // 2, page.height // 2), Image.Resampling.BOX)
    if os.environ.get("VES_GOLDEN") == "write":
        small.quantize(255).save(GOLDEN / f"{name}.png", optimize=True)
    with Image.open(GOLDEN / f"{name}.png") as kept:
        assert kept.size == small.size
        difference = np.abs(np.asarray(kept.convert("RGB")).astype(int) - np.asarray(small).astype(int)).max(-1)
    assert difference.mean() < 2.5
    assert (difference > 40).mean() < 0.003
