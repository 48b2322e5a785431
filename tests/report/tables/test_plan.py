"""plan.md: nothing of the plan is lost, estimates are marked, a disk that is too small is said, not raised."""

import copy
from typing import Any

import pytest

from ves.report.tables.plan import text
from ves.sources.vaani.disk_space import DiskSpace

SPACE = DiskSpace(
    {"audio.zarr": 730 * 10**9, "source": 2_500_000_000},
    {"audio.zarr": 30 * 10**9, "source": 0},
    800 * 10**9,
    72 * 10**9,
)


@pytest.fixture
def plan() -> dict[str, Any]:
    """A small plan.json with something of everything."""
    count = {"references": 1234, "clips": 56789}
    return {
        "repository": "ARTPARK-IISc/Vaani",
        "revision": "0123456789abcdef0123456789abcdef01234567",
        "shards": [{"name": f"audio/{n}", "part": "audio", "bytes": 500_000_000} for n in range(4)]
        + [{"name": "images/0", "part": "images", "bytes": 123_000_000}],
        "left_out": {"audio": {"shards": 0, "bytes": 0}, "images": {"shards": 7, "bytes": 3_500_000_000}},
        "clips": 1_004_000,
        "clips_listed": 2_000_000,
        "seconds": 6_926_400.0,
        "exact": False,
        "languages": [
            {"language": "Hindi", "clips": 700_000, "seconds": 4_830_000.0, "exact": True, "stratum": "high"},
            {"language": "Ti|lu\nx", "clips": 300_000, "seconds": 2_070_000.0, "exact": False, "stratum": "low"},
            {"language": None, "clips": 4_000, "seconds": 26_400.0, "exact": True, "stratum": None},
        ],
        "districts": [{"district": "Goa", "clips": 1_004_000, "seconds": 6_926_400.0, "exact": False}],
        "references": {
            "distinct": 3702,
            "levels": {"path": count, "file name": count}, "ambiguous": {"references": 3, "clips": 30},
            "missing": {"references": 4, "clips": 40}, "empty": {"clips": 50}, "images": 2471, "pictures": 2600,
        },
        "pairs": 2471,
        "stores": {"audio.zarr": 730 * 10**9, "features": 150 * 10**9},
        "downloads": 4,
        "keep_source": False,
        "rates": {"download_mb_s": 20.0, "features_s": 360.0},
    }  # fmt: skip


def test_the_page_says_all_of_it(plan: dict[str, Any]) -> None:
    page = text("vaani", plan, SPACE)
    for line in (
        "# Plan of vaani",
        "`ARTPARK-IISc/Vaani` at commit `0123456789abcdef0123456789abcdef01234567`, from its listing",
        "**It fits.** 702.5 GB more are needed in data/, 800.0 GB are free.",
        "| audio | 4 | 2.0 | 0 | 0.0 |",
        "| images | 1 | 0.1 | 7 | 3.5 |",
        "72.0 GB are still to come: 60 min at 20 MB/s. Features of 2,471 photographs: 1 min at 360 a second.",
        "| audio.zarr | samples, 16 kHz int16 | 730.0 | 30.0 |",
        "| all |  | 732.5 | 30.0 |",
        "| found by file name | 1,234 | 56,789 |",
        "| several pictures bear the name | 3 | 30 |",
        "| no picture bears it | 4 | 40 |",
        "| clips that name none | 0 | 50 |",
        "1,004,000 clips of 2,000,000 in these shards, ~1,924.0 hours, 2 languages, 1 districts.",
        "| high | 1 | 700,000 | 1,341.7 |",
        "| mid | 0 | 0 | 0.0 |",
        "| low | 1 | 300,000 | ~575.0 |",
        "| Hindi | 700,000 | 1,341.7 | high |",
        r"| Ti\|lu x | 300,000 | ~575.0 | low |",
        "| (none) | 4,000 | 7.3 | - |",
        "| Goa | 1,004,000 | ~1,924.0 |",
    ):
        assert line in page


def test_tables_are_tables(plan: dict[str, Any]) -> None:
    """Every row of a table has as many cells as its head."""
    blocks = text("vaani", plan, SPACE).replace("\\|", "").split("\n\n")
    tables = [block.splitlines() for block in blocks if block.startswith("|")]
    assert len(tables) > 2
    for lines in tables:
        assert len({line.count("|") for line in lines}) == 1, lines
        assert set(lines[1]) <= set("|-: ")


def test_a_disk_that_is_too_small_is_said(plan: dict[str, Any]) -> None:
    page = text("vaani", plan, DiskSpace(SPACE.needed, SPACE.there, 2 * 10**9, 0))
    assert "**It does not fit: 700.5 GB too few.** 702.5 GB more are needed in data/, 2.0 GB are free." in page


def test_what_is_not_known_is_said(plan: dict[str, Any]) -> None:
    unknown = copy.deepcopy(plan)
    unknown["stores"]["features"] = None
    assert "Features are not counted: the width of the backbone is not known" in text("vaani", unknown, SPACE)
    assert "Features are not counted" not in text("vaani", plan, SPACE)


@pytest.mark.parametrize(
    ("size", "time"), [(10**9, "1 min"), (10**11, "83 min"), (10**12, "13.9 h"), (10**13, "5.8 days")]
)
def test_times_are_said_as_people_say_them(plan: dict[str, Any], size: int, time: str) -> None:
    assert f"still to come: {time} at 20 MB/s" in text("vaani", plan, DiskSpace(SPACE.needed, SPACE.there, 0, size))


def test_too_few_photographs_are_said(plan: dict[str, Any]) -> None:
    assert "Too few" not in text("vaani", plan, SPACE)
    assert "**Too few photographs: 2,471, for 2,472 pairs of val and tune.**" in text(
        "vaani", plan | {"pairs": 2472}, SPACE
    )
