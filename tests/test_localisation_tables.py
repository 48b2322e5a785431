"""Tables of localisation: columns, means over seeds, and refusal of what cannot stand in one table."""

from pathlib import Path

import pytest
from test_tables import config

from ves.files import write_json
from ves.localisation_tables import localisation_csv


def pointing(results: Path, run: str, first: float, **changes) -> None:
    report = {"available": True, "pointing": first, "centre": 9.0, "random": 8.126, "wrong_clip": 12.5, "n": 2400}
    write_json(results / run / "localisation.json", report | changes)


def test_pointing_beside_its_baselines(tmp_path):
    for run, first in (("dense-s0", 60.0), ("dense-s1", 61.0), ("global-s0", 24.0), ("global-s1", 25.0)):
        pointing(tmp_path, run, first)
    pointing(tmp_path, "global-s1", 25.0, wrong_clip=None)
    localisation_csv(config(["global", "dense"], [0, 1]), tmp_path, tmp_path / "localisation.csv")
    assert (tmp_path / "localisation.csv").read_bytes().decode() == (
        "loss,pointing,centre,random_patch,wrong_clip,n,note\n"
        "global,24.50,9.00,8.13,,2400,\n"
        "dense,60.50,9.00,8.13,12.50,2400,\n"
    )


def test_a_corpus_without_word_timings_gets_a_note(tmp_path):
    why = {"available": False, "why": "this corpus has no word timings"}
    write_json(tmp_path / "dense-s0" / "localisation.json", why)
    localisation_csv(config(["dense"], [0]), tmp_path, tmp_path / "localisation.csv")
    assert (tmp_path / "localisation.csv").read_text().splitlines()[1] == "dense,,,,,0,this corpus has no word timings"


def test_seeds_that_point_at_other_nouns_do_not_share_a_row(tmp_path):
    pointing(tmp_path, "dense-s0", 60.0)
    pointing(tmp_path, "dense-s1", 61.0, n=2399)
    with pytest.raises(ValueError, match="the number of nouns differs between runs"):
        localisation_csv(config(["dense"], [0, 1]), tmp_path, tmp_path / "localisation.csv")
