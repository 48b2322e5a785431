"""table1.md: every number is that of the reports, and the paper's stand apart."""

import polars as pl
import pytest

from tests.support.run_folders import corpus, evaluate, run, table
from ves.base.files import read_json
from ves.evaluation.retrieval.intervals import METRICS
from ves.evaluation.truth import OBJECTS, WORDS
from ves.report.tables import table1_page
from ves.report.tables.comparisons import number
from ves.report.tables.table1_page import PAPER_ON_VAANI


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two objectives of three seeds; read only."""
    folder = tmp_path_factory.mktemp("page")
    data = corpus(folder / "data")
    for seed in range(3):
        for i, name in enumerate(("dense", "global")):
            evaluate(run(folder / "results", f"{name}-s{seed}", data, seed=seed + 10 * i))
    return folder / "results"


def sections(config, results, out) -> dict[str, str]:
    table1_page.write(config, results, "made", out.parent / "truth", out)
    head, *rest = out.read_text(encoding="utf-8").split("\n## ")
    return {"": head} | {part.partition("\n")[0]: part for part in rest}


def cells(section: str) -> list[list[str]]:
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "---" not in line]


def shown(report: dict, metric: str) -> str:
    low, high = (number(metric, end) for end in report["interval"][metric])
    return f"{number(metric, report[metric])} [{low}, {high}]"


def test_every_number_is_that_of_the_reports(results, tmp_path):
    found = sections(table("dense", "global"), results, tmp_path / "table1.md")
    report = {name: read_json(results / f"{name}-s0" / "retrieval.json") for name in ("dense", "global")}
    rows = cells(found["One clip to an image"])
    assert [row[:2] for row in rows[1:]] == [
        [loss, way] for loss in ("dense", "global", "chance") for way in ("A2V", "V2A")
    ]
    for row in rows[1:5]:
        own = report[row[0]][row[1]]
        assert row[2 : 2 + len(METRICS)] == [shown(own, metric) for metric in METRICS]
        assert row[-3:] == [str(own["queries_with_ties"]), number("median_rank", own["pessimistic_median_rank"]), "12"]
    assert rows[-1][2] == "8.33", "chance, R@1 of 12"
    for row in cells(found["Under each similarity"])[1:]:
        own = report[row[0]]["others"][row[1]][row[2]]
        assert row[3 : 3 + len(METRICS)] == [shown(own, metric) for metric in METRICS]
    multi = {name: read_json(results / f"{name}-s0" / "multi_positive.json") for name in ("dense", "global")}
    groups = {label: group for group, label in table1_page.SPEAKERS.items()}
    for row in cells(found["All clips of an image"])[1:]:
        own = multi[row[0] if row[0] != "chance" else "dense"][row[2]][groups[row[1]]]
        expected = [number(m, own["chance"][m]) if row[0] == "chance" else shown(own, m) for m in METRICS]
        assert row[4 : 4 + len(METRICS)] == expected


def test_one_seed_has_no_p_value_and_three_have(results, tmp_path):
    one = sections(table("dense", "global"), results, tmp_path / "one.md")
    three = sections(table("dense", "global", seeds=(0, 1, 2)), results, tmp_path / "three.md")
    assert "Between these very checkpoints" in one["Differences"]
    assert ", p " not in one["Differences"]
    assert "Over 3 seeds" in three["Differences"]
    assert ", p " in three["Differences"]
    assert "±" not in cells(one["One clip to an image"])[1][2]
    assert "±" in cells(three["One clip to an image"])[1][2]


def test_one_run_is_compared_with_nothing_and_speakers_may_be_unknown(results, tmp_path):
    whole = pl.read_parquet(results / "dense-s0" / "multi_positive.parquet")
    (tmp_path / "dense-s0").mkdir()
    whole.filter(speakers="all").write_parquet(tmp_path / "dense-s0" / "multi_positive.parquet")
    (tmp_path / "dense-s0" / "ranks.parquet").symlink_to(results / "dense-s0" / "ranks.parquet")
    found = sections(table("dense"), tmp_path, tmp_path / "table1.md")
    assert "Differences" not in found
    assert {row[1] for row in cells(found["All clips of an image"])[1:]} == {"all"}


def test_the_papers_numbers_stand_in_a_table_of_their_own(results, tmp_path):
    found = sections(table("dense", "global"), results, tmp_path / "table1.md")
    assert "not measured here" in found["The paper's numbers"]
    rows = cells(found["The paper's numbers"])[1:]
    assert [[row[0], row[1], *map(float, row[2:])] for row in rows] == [list(row) for row in PAPER_ON_VAANI]
    assert "55.36" not in "".join(text for name, text in found.items() if name != "The paper's numbers")


def test_what_another_processor_moves_is_said_and_first_what_it_does_not(results, tmp_path):
    said = sections(table("dense"), results, tmp_path / "table1.md")["Another processor"]
    assert said.index("the same to the byte") < said.index("moved by")


def test_the_same_bytes_each_time(results, tmp_path):
    for name in ("a.md", "b.md"):
        table1_page.write(table("dense"), results, "made", tmp_path / "truth", tmp_path / name)
    assert (tmp_path / "a.md").read_bytes() == (tmp_path / "b.md").read_bytes()


def test_where_localisation_is_or_why_there_is_none(results, tmp_path):
    """Nothing known; written words alone, as Vaani has them; times of words alone; both."""
    truth, config = tmp_path / "truth", table("dense")
    truth.mkdir()
    found = sections(config, results, tmp_path / "table1.md")["Localisation"]
    neither = "this corpus does not say when each word is said or which pixels each object covers."
    assert f"Not measured: {neither}" in found
    pl.DataFrame({"clip_id": ["a"], "transcript": ["b"]}).write_parquet(truth / "a.parquet")
    assert neither in sections(config, results, tmp_path / "table1.md")["Localisation"]
    pl.DataFrame({name: [0] for name in WORDS}).write_parquet(truth / "a.parquet")
    found = sections(config, results, tmp_path / "table1.md")["Localisation"]
    assert "Not measured: this corpus does not say which pixels each object covers." in found
    pl.DataFrame({name: [0] for name in OBJECTS}).write_parquet(truth / "b.parquet")
    assert "Not" not in (found := sections(config, results, tmp_path / "table1.md")["Localisation"])
    assert "In `localisation.csv`" in found
