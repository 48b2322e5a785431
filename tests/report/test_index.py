"""The page of all results: it links what is there and nothing else, and says when numbers mean nothing."""

import re
from pathlib import Path

import pytest

from ves.config.experiment import TableConfig
from ves.report.index import write, write_part

CONFIG = TableConfig(seeds=[0, 1], table=["dense"])


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (folder := tmp_path / "<b>").mkdir()
    (folder / "table1.csv").write_text("loss,direction,R@1,R@50,n\ndense,A2V,1.40,,20\n")
    return folder


def page(results: Path) -> str:
    write(CONFIG, results, results / "index.html")
    return (results / "index.html").read_text(encoding="utf-8")


def put(results: Path, *names: str) -> None:
    for name in names:
        (results / name).parent.mkdir(exist_ok=True)
        (results / name).write_text("")


def test_it_links_what_is_there(results: Path) -> None:
    put(results, "explorer/index.html", "pages/table1.html", "dense-s1/curves.png", "global-s0/curves.png")
    links = set(re.findall(r'href="([^"]*)"', page(results)))
    assert links == {"data:,", "explorer/index.html", "pages/table1.html", "dense-s1/curves.png"}


def test_it_has_the_tables_and_of_a_corpus_without_word_timings_one(results: Path) -> None:
    assert re.findall(r"<th(?: [^>]*)?>(.*?)</th>", page(results)) == ["objective", "direction", "R@1", "n"]
    assert "Where spoken nouns point" not in page(results)
    (results / "localisation.csv").write_text("loss,pointing,n\ndense,31.80,2336\n")
    assert "Where spoken nouns point" in page(results) and "31.80" in page(results)


def test_names_are_text_and_it_leads_back_to_nothing(results: Path) -> None:
    assert "<h1>&lt;b&gt;: which" in page(results) and "All results" not in page(results)


def test_it_says_that_a_few_steps_teach_nothing(results: Path) -> None:
    (results / "dense-s1").mkdir()
    (results / "dense-s1" / "log.jsonl").write_text('{"step": 49}\n')
    assert "with fewer than 50 steps a model has learned next to nothing (steps: dense-s1 49)" in page(results)
    (results / "dense-s1" / "log.jsonl").write_text('{"step": 50}\n')
    assert "fewer than" not in page(results)


def test_so_does_a_table_for_the_report(results: Path, tmp_path: Path) -> None:
    write_part(CONFIG, results / "table1.csv", tmp_path / "part.html")
    assert (text := (tmp_path / "part.html").read_text()).startswith('<div class="wide"') and "<html" not in text
    (results / "dense-s0").mkdir()
    (results / "dense-s0" / "log.jsonl").write_text('{"step": 1}\n')
    write_part(CONFIG, results / "table1.csv", tmp_path / "part.html")
    assert (tmp_path / "part.html").read_text().index("(steps: dense-s0 1)") < len('<p class="few">') + 200


def test_without_a_table_there_is_no_page(results: Path) -> None:
    (results / "table1.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"table1\.csv"):
        page(results)
    assert not (results / "index.html").exists()
