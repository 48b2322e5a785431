"""Tables of localisation: columns, means over seeds, and refusal of what cannot stand in one table."""

import csv
from pathlib import Path

import pytest

from tests.support.tables import config
from ves.base.files import read_json, write_json
from ves.report.tables.localisation import PROTOCOLS, groups_csv, main_csv, protocols_csv


def row(protocol: str, metric: str, value: float | None, heat: str = "model", **more) -> dict:
    ends = (
        {"low": None, "high": None} if value is None or protocol == "denseav" else {"low": value - 1, "high": value + 2}
    )
    return more | {"protocol": protocol, "metric": metric, "heat": heat, "value": value, **ends, "n": 2400}


def report(results: Path, run: str, first: float, **changes) -> None:
    """A report in which the protocols' values are `first` plus 1, 2, 3, ..."""
    rows = [row(*which, first + 1 + i) for i, which in enumerate(PROTOCOLS.values())]
    rows.append(row("pointing", "hit", 12.5, "wrong_clip"))
    groups = [row("pointing", "hit", first, by="language", group=name) for name in ("bn", "hi")]
    found = {"available": True, "pointing": first, "centre": 9.0, "random": 8.126, "wrong_clip": 12.5, "n": 2400}
    found |= {"nouns": "ab", "protocols": rows, "protocols_by": groups}
    write_json(results / run / "localisation.json", found | changes)


def test_the_main_numbers_beside_their_baselines(tmp_path):
    for run, first in (("dense-s0", 60.0), ("dense-s1", 61.0), ("global-s0", 24.0)):
        report(tmp_path, run, first)
    report(tmp_path, "global-s1", 25.0, wrong_clip=None)
    main_csv(config(["global", "dense"], [0, 1]), tmp_path, tmp_path / "localisation.csv")
    assert (tmp_path / "localisation.csv").read_bytes().decode() == (
        "loss,pointing,centre,random_patch,wrong_clip,denseav_mAP,denseav_mIoU,vggss_cIoU,vggss_AUC,mass_inside,"
        "entropy,n,note\n"
        "global,24.50,9.00,8.13,,25.50,26.50,27.50,28.50,29.50,30.50,2400,\n"
        "dense,60.50,9.00,8.13,12.50,61.50,62.50,63.50,64.50,65.50,66.50,2400,\n"
    )


def test_every_protocol_over_seeds(tmp_path):
    for seed, first in enumerate((60.0, 61.0)):
        report(tmp_path, f"dense-s{seed}", first)
    protocols_csv(config(["dense"], [0, 1]), tmp_path, tmp_path / "protocols.csv")
    lines = (tmp_path / "protocols.csv").read_text().splitlines()
    assert lines[0] == "loss,protocol,metric,heat,value,low,high,sd,n,note"
    assert lines[1] == "dense,denseav,mAP,model,61.50,,,0.71,2400,"
    assert lines[3] == "dense,vggss,cIoU,model,63.50,62.50,65.50,0.71,2400,"
    assert lines[-1] == "dense,pointing,hit,wrong_clip,12.50,11.50,14.50,0.00,2400,"
    protocols_csv(config(["dense"], [1]), tmp_path, tmp_path / "protocols.csv")
    assert (tmp_path / "protocols.csv").read_text().splitlines()[3] == "dense,vggss,cIoU,model,64.00,63.00,66.00,,2400,"


def test_by_language_and_kind(tmp_path):
    report(tmp_path, "dense-s0", 60.0)
    groups_csv(config(["dense"], [0]), tmp_path, tmp_path / "by.csv")
    with open(tmp_path / "by.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [found["group"] for found in rows] == ["bn", "hi"]
    assert rows[0]["by"] == "language" and rows[0]["value"] == "60.00" and rows[0]["low"] == "59.00"


def test_what_one_seed_does_not_have_is_empty(tmp_path):
    report(tmp_path, "dense-s0", 60.0)
    report(tmp_path, "dense-s1", 61.0, protocols=[row(*which, None) for which in PROTOCOLS.values()])
    protocols_csv(config(["dense"], [0, 1]), tmp_path, tmp_path / "protocols.csv")
    lines = (tmp_path / "protocols.csv").read_text().splitlines()
    assert lines[1] == "dense,denseav,mAP,model,,,,,2400,"
    assert lines[-1] == "dense,pointing,hit,wrong_clip,,,,,2400,"


def test_a_corpus_without_word_timings_gets_a_note(tmp_path):
    why = {"available": False, "why": "this corpus has no word timings"}
    write_json(tmp_path / "dense-s0" / "localisation.json", why)
    for write in (main_csv, protocols_csv, groups_csv):
        write(config(["dense"], [0]), tmp_path, tmp_path / "table.csv")
        header, only = (tmp_path / "table.csv").read_text().splitlines()
        assert only.startswith("dense,,,") and only.endswith(",,0,this corpus has no word timings")
        assert only.count(",") == header.count(",")


def test_runs_measured_on_other_nouns_do_not_share_a_table(tmp_path):
    report(tmp_path, "dense-s0", 60.0)
    report(tmp_path, "dense-s1", 61.0, nouns="cd")
    report(tmp_path, "global-s0", 61.0, nouns="ef")
    for names, seeds in ((["dense"], [0, 1]), (["dense", "global"], [0])):
        with pytest.raises(ValueError, match="the set of nouns differs between runs"):
            main_csv(config(names, seeds), tmp_path, tmp_path / "localisation.csv")


def test_words_and_sounds_have_rows_of_their_own(tmp_path):
    for seed, first in enumerate((60.0, 61.0)):
        report(tmp_path, f"dense-s{seed}", first)
        file = tmp_path / f"dense-s{seed}" / "localisation.json"
        words = read_json(file)
        heard = {key: value for key, value in words.items() if key != "available"}
        write_json(file, words | {"sounds": heard | {"nouns": "cd", "pointing": first - 20, "n": 300}})
    main_csv(config(["dense"], [0, 1]), tmp_path, tmp_path / "main.csv")
    lines = (tmp_path / "main.csv").read_text().splitlines()
    assert lines[0].startswith("loss,prompt,pointing,centre,")
    assert lines[1].startswith("dense,word,60.50,9.00,") and lines[1].endswith(",2400,")
    assert lines[2].startswith("dense,sound,40.50,9.00,") and lines[2].endswith(",300,")
    protocols_csv(config(["dense"], [0, 1]), tmp_path, tmp_path / "protocols.csv")
    with open(tmp_path / "protocols.csv", encoding="utf-8") as table:
        prompts = [row["prompt"] for row in csv.DictReader(table)]
    assert prompts == sorted(prompts, reverse=True) and set(prompts) == {"word", "sound"}


def test_a_seed_whose_sounds_were_not_measured_does_not_share_a_table(tmp_path):
    for seed in range(2):
        report(tmp_path, f"dense-s{seed}", 60.0)
    file = tmp_path / "dense-s1" / "localisation.json"
    words = read_json(file)
    write_json(file, words | {"sounds": {key: value for key, value in words.items() if key != "available"}})
    with pytest.raises(ValueError, match="the set of sounds differs between runs"):
        main_csv(config(["dense"], [0, 1]), tmp_path, tmp_path / "main.csv")
