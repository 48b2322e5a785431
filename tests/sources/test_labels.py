"""Spellings: what the table may say, what it changes, and that the label as it was is kept."""

from pathlib import Path

import polars as pl
import pytest

from ves.sources import labels

TABLE = """
- {column: language, old: Oriya, new: Odia, source: a card}
- {column: state, old: UttarPradesh, new: Uttar Pradesh, source: a card}
- {column: district, old: Muzzaffarnagar, new: Muzaffarnagar, source: a card}
- {column: district, old: Bilas, new: Bilaspur, source: a card, state: Uttar Pradesh}
- {column: district, old: Bilas, new: Vilas, source: a card, state: Goa}
"""
CLIPS = pl.DataFrame(
    [
        ("Oriya", "Muzzaffarnagar", "UttarPradesh"),
        ("Odia", "Bilas", "UttarPradesh"),
        ("oriya", "Bilas", "Goa"),
        (None, "Bilas", None),
        ("Bilas", None, "Uttar Pradesh"),
    ],
    schema=["language", "district", "state"],
    orient="row",
)


def table(folder: Path, text: str = TABLE) -> Path:
    path = folder / "labels.yaml"
    path.write_text(text, "utf-8")
    return path


def test_by_eye(tmp_path: Path):
    spelt = labels.normalise(CLIPS, labels.read(table(tmp_path)))
    assert spelt.columns == ["language", "district", "state", "language_raw", "district_raw", "state_raw"]
    assert spelt.select("language", "district", "state").rows() == [
        ("Odia", "Muzaffarnagar", "Uttar Pradesh"),
        ("Odia", "Bilaspur", "Uttar Pradesh"),
        ("oriya", "Vilas", "Goa"),
        (None, "Bilas", None),  # no state is known: neither of the two
        ("Bilas", None, "Uttar Pradesh"),
    ]
    assert spelt.select("^.*_raw$").rows() == CLIPS.rows()
    assert labels.normalise(CLIPS.lazy(), labels.read(table(tmp_path))).collect(engine="streaming").equals(spelt)


def test_without_a_table_nothing_changes():
    spelt = labels.normalise(CLIPS, labels.read(None))
    assert spelt.select(CLIPS.columns).equals(CLIPS)
    assert spelt.select("^.*_raw$").rows() == CLIPS.rows()
    assert labels.changes(spelt.lazy()).is_empty()


def test_some_columns_only(tmp_path: Path):
    spelt = labels.normalise(CLIPS.select("language"), labels.read(table(tmp_path)), ["language"])
    assert spelt.columns == ["language", "language_raw"]
    assert spelt["language"][0] == "Odia"


def test_changes_are_counted(tmp_path: Path):
    spelt = labels.normalise(CLIPS, labels.read(table(tmp_path)))
    assert labels.changes(pl.concat([spelt, spelt.head(1)]).lazy()).rows() == [
        ("district", "Bilas", "Bilaspur", 1),
        ("district", "Bilas", "Vilas", 1),
        ("district", "Muzzaffarnagar", "Muzaffarnagar", 2),
        ("language", "Oriya", "Odia", 2),
        ("state", "UttarPradesh", "Uttar Pradesh", 3),
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("- {column: language, old: A, new: B}", "entry 1: source: Field required"),
        ("- {column: language, old: A, new: B, source: s, sauce: t}", "entry 1: sauce: Extra inputs"),
        ("- {column: speaker, old: A, new: B, source: s}", "entry 1: column: Input should be 'language', 'district'"),
        ("- {column: language, old: '', new: B, source: s}", "entry 1: old: String should match pattern"),
        ("- {column: language, old: A, new: ' B', source: s}", "entry 1: new: String should match pattern"),
        ("- {column: language, old: no, new: B, source: s}", "entry 1: old: Input should be a valid string"),
        ("{column: language}", "Input should be a valid list"),
        ("- [", "not valid YAML"),
        (
            "- {column: language, old: A, new: A, source: s}",
            "entry 1 (language 'A'): its new spelling 'A' is an old one",
        ),
        (
            "- {column: state, old: A, new: B, source: s, state: C}",
            "entry 1 (state 'A'): only an entry for a district may",
        ),
    ],
)
def test_faults_of_an_entry_are_named(text: str, fault: str, tmp_path: Path):
    with pytest.raises(ValueError, match=r"labels\.yaml: ") as caught:
        labels.read(table(tmp_path, text))
    assert fault in str(caught.value)


def table_of(entries: list[str], folder: Path) -> Path:
    """A table of entries, each "column old new" or "column old new state"."""
    lines = []
    for entry in entries:
        column, old, new, *state = entry.split()
        lines.append(
            f"- {{column: {column}, old: {old}, new: {new}, source: s{', state: ' + state[0] if state else ''}}}"
        )
    return table(folder, "\n".join(lines))


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        (["language A B", "language A C"], r"entry 2 \(language 'A'\): entry 1 already has it, as 'B'"),
        (["language A B", "language B C"], r"entry 1 \(language 'A'\): its new spelling 'B' is an old one in entry 2"),
        (["district A B", "district A C S"], r"entry 2 \(district 'A'\): entry 1 already has it"),
        (["district A B S", "district B C"], r"entry 1 .*an old one in entry 2"),
        (["state S T", "district A B S"], r"entry 2 .*its state is an old spelling in entry 1; write 'T'"),
        (["district A C", "district B A S"], r"entry 2 .*an old one in entry 1"),
    ],
)
def test_entries_that_contradict_one_another_are_refused(entries: list[str], fault: str, tmp_path: Path):
    with pytest.raises(ValueError, match=fault):
        labels.read(table_of(entries, tmp_path))


@pytest.mark.parametrize(
    "entries",
    [
        ["language A B", "district A C", "language X B"],  # other columns; two old spellings of one
        ["district A B S", "district A C T", "district C D S"],  # other states: no chain, no clash
    ],
)
def test_entries_that_only_look_alike_are_read(entries: list[str], tmp_path: Path):
    assert len(labels.read(table_of(entries, tmp_path))) == len(entries)


def test_the_table_of_vaani_can_be_read():
    found = labels.read(Path("config/labels.yaml"))
    assert ("language", "Oriya", "Odia", None) in found.rows()
    assert set(found["column"]) <= set(labels.COLUMNS)
