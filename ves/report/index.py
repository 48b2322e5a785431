"""index.html of results/<corpus>: the tables that matter most, and a link to whatever else there is."""

from pathlib import Path

from ves.base.files import atomic
from ves.config.experiment import TableConfig
from ves.report.html import part, render
from ves.report.tables import few_steps
from ves.report.tables.table1 import run_name

TABLES = {  # CSV files that the page shows: heading, and what the numbers are
    "table1.csv": (
        "Finding the picture by speech, and speech by the picture",
        "Validation pairs. R@k: percent of queries whose right answer is among the first k. Mean and median rank: 1 is "
        "best. A2V: a clip looks for its picture; V2A: a picture looks for its clip.",
    ),
    "localisation.csv": (
        "Where spoken nouns point",
        "Percent of n nouns. Pointing: the most similar patch has its centre in the object that the noun names. Wrong "
        "clip: the same where a noun of another kind, from another clip, points. Centre and random "
        "patch neither look nor listen.",
    ),
}
LINKS = {  # sections of links: file, and what it is
    "See and hear": {
        "explorer/index.html": "Explorer: play clips, point at words and pictures, search",
        "heatmaps/index.html": "Gallery: films, words and strips of some clips",
        "figure1.png": "Figure 1: words of some clips, the runs side by side",
        "figure1.pdf": "Figure 1 for print",
    },
    "Retrieval": {
        "pages/table1.html": "Table 1 with intervals, under other similarities, and for all clips of a picture",
        "pages/comparisons.html": "How much better the first objective is than each other one",
        "recall_by_language.png": "Recall by language",
        "recall_over_k.png": "Recall over k",
        "rank_histogram.png": "How the ranks are distributed",
    },
    "Localisation": {
        "pages/localisation.html": "The main numbers",
        "pages/localisation_protocols.html": "Every protocol, with intervals and baselines",
        "pointing_by_word.png": "Pointing by kind of thing and language",
        "words.png": "Do the words of all languages for one thing lie together?",
    },
    "Data and cost": {
        "pages/splits.html": "Who is in which split",
        "pages/refused.html": "What the corpus refused, and why",
        "pages/times.html": "What each stage cost",
    },
}


def links(config: TableConfig, results: Path) -> dict[str, dict[str, str]]:
    """The sections of links to files that are there, with the curves of the runs in the table."""
    runs = [run_name(name, seed) for name in config.table for seed in config.seeds]
    curves = {f"{run}/curves.png": f"Curves of {run}" for run in runs}
    sections = LINKS | {"Training": curves}
    there = {
        title: {file: what for file, what in section.items() if (results / file).is_file()}
        for title, section in sections.items()
    }
    return {title: section for title, section in there.items() if section}


def write_part(config: TableConfig, source: Path, out: Path) -> None:
    """A CSV table of the results as HTML without a page around it, below a warning where its runs had few steps.

    Raises ValueError for a table without a header.
    """
    text = render("few.html", few=_warning(config, source.parent)) + part(source)
    with atomic(out) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _warning(config: TableConfig, results: Path) -> str:
    return few_steps.warning(results / run_name(name, seed) for name in config.table for seed in config.seeds)


def write(config: TableConfig, results: Path, out: Path) -> None:
    """Write the page into the folder of the results, since its links are relative to it.

    Raises FileNotFoundError when there is no table1.csv.
    """
    tables = [
        {"heading": heading, "about": about, "html": part(results / file)}
        for file, (heading, about) in TABLES.items()
        if file == "table1.csv" or (results / file).is_file()
    ]
    page = render(
        "index.html", title=f"VeS: {results.name}", corpus=results.name, few=_warning(config, results), tables=tables,
        sections=links(config, results), figure="figure1.png" if (results / "figure1.png").is_file() else "",
    )  # fmt: skip
    with atomic(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
