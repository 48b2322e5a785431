"""table1.md: every number is that of the reports, and the paper's stand apart."""

import polars as pl
import pytest

from tests.support.run_folders import corpus, evaluate, run, table
from ves.base.files import read_json
from ves.evaluation.retrieval.chance import informative
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


def cell_text(report: dict, metric: str) -> str:
    low, high = (number(metric, end) for end in report["interval"][metric])
    return f"{number(metric, report[metric])} [{low}, {high}]"


def tables(section: str) -> dict[str, dict[str, dict[str, str]]]:
    """The tables of a section by their headings: the cells of each column, by the name of the number."""
    found = {}
    for part in section.split("\n### ")[1:]:
        (_, *names), *rows = cells(part)
        found[part.partition("\n")[0]] = {
            name: {row[0]: row[1 + at] for row in rows if row[1 + at]} for at, name in enumerate(names)
        }
    return found


TOLD = [metric for metric in METRICS if metric != "R@50"]  # of a gallery of 12
IN_WORDS = {metric: metric.replace("_", " ") for metric in TOLD}


def test_every_number_is_that_of_the_reports(results, tmp_path):
    found = sections(table("dense", "global"), results, tmp_path / "table1.md")
    report = {name: read_json(results / f"{name}-s0" / "retrieval.json") for name in ("dense", "global")}
    paper = tables(found["One clip to a picture"])
    assert [heading[:3] for heading in paper] == ["A2V", "V2A"]
    for heading, columns in paper.items():
        assert list(columns) == ["dense", "global", "chance"]
        for name in report:
            own = report[name][heading[:3]]
            expected = {IN_WORDS[metric]: cell_text(own, metric) for metric in TOLD}
            expected["queries with ties"] = str(own["queries_with_ties"])
            expected["median rank if ties go against it"] = number("median_rank", own["pessimistic_median_rank"])
            assert columns[name] == expected
        assert columns["chance"]["R@1"] == "8.33", "of 12"
    under = tables(found["Under each similarity"])
    assert len(under) == 4
    for heading, columns in under.items():
        for name in report:
            own = report[name]["others"][heading.split("`")[1]][heading[:3]]
            assert {metric: columns[name][IN_WORDS[metric]] for metric in TOLD} == {m: cell_text(own, m) for m in TOLD}
    multi = {name: read_json(results / f"{name}-s0" / "multi_positive.json") for name in ("dense", "global")}
    groups = {label: group for group, label in table1_page.SPEAKERS.items()}
    every = tables(found["All clips of a picture"])
    assert len(every) == 6
    for heading, columns in every.items():
        way, _, label = heading.partition(", ")
        for name, column in columns.items():
            own = multi["dense" if name == "chance" else name][way][groups[label]]
            told = [metric for metric in METRICS if informative(metric, own["gallery"])]
            assert {metric: column[metric.replace("_", " ")] for metric in told} == {
                m: number(m, own["chance"][m]) if name == "chance" else cell_text(own, m) for m in told
            }
            ties = {"queries with ties", "median rank if ties go against it"}
            assert column.keys() == {m.replace("_", " ") for m in told} | (ties if name != "chance" else set())


def test_a_recall_that_cannot_but_be_100_is_left_out(results, tmp_path):
    text = "".join(sections(table("dense", "global"), results, tmp_path / "table1.md").values())
    measured = text[: text.index("The paper's numbers")]
    assert "R@10" in measured and "R@50" not in measured


def test_one_seed_has_no_p_value_and_three_have(results, tmp_path):
    one = sections(table("dense", "global"), results, tmp_path / "one.md")
    three = sections(table("dense", "global", seeds=(0, 1, 2)), results, tmp_path / "three.md")
    assert "Between these checkpoints alone" in one["Differences"]
    assert ", p " not in one["Differences"]
    assert "Over 3 seeds" in three["Differences"]
    assert ", p " in three["Differences"]
    assert "±" not in cells(one["One clip to a picture"])[1][1]
    assert "±" in cells(three["One clip to a picture"])[1][1]


def test_one_run_is_compared_with_nothing_and_speakers_may_be_unknown(results, tmp_path):
    whole = pl.read_parquet(results / "dense-s0" / "multi_positive.parquet")
    (tmp_path / "dense-s0").mkdir()
    whole.filter(speakers="all").write_parquet(tmp_path / "dense-s0" / "multi_positive.parquet")
    (tmp_path / "dense-s0" / "ranks.parquet").symlink_to(results / "dense-s0" / "ranks.parquet")
    found = sections(table("dense"), tmp_path, tmp_path / "table1.md")
    assert "Differences" not in found
    assert list(tables(found["All clips of a picture"])) == ["A2V, all speakers", "V2A, all speakers"]


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
