"""Names that leave their folder, and shards of which too much is refused."""

import polars as pl
import pytest

from ves.corpus import refusals


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("../a", "a component .."), ("a/../b", "a component .."), ("a\\..\\b", "a component .."),
        ("..", "a component .."),
        ("C:\\a", "a drive"), ("c:/a", "a drive"), ("a\0b", "a control character"), ("a\nb", "a control character"),
        ("a\x7f", "a control character"), (None, None), ("", None), ("/a/b.jpg", None), ("..a/b..jpg", None),
        ("a...b", None), ("बिल्ली.wav", None), ("C: a note.wav", None),
    ],
)  # fmt: skip
def test_names_that_leave_their_folder(name: str | None, fault: str | None):
    assert refusals.unsafe(name) == fault


def rows(*reasons: str | None) -> list[dict]:
    return [
        {"source_row": i, "source_path": f"{i}.wav", "reason": reason, "detail": reason and f"seen in {i}"}
        for i, reason in enumerate(reasons)
    ]


def test_the_limit_itself_is_allowed_and_no_row_is_no_fault():
    refusals.check("s", rows(None, None, None, "a"), 0.25)
    refusals.check("s", rows("a"), 1.0)
    refusals.check("s", [], 0.0)
    refusals.check("s", rows(None), 0.0)
    with pytest.raises(ValueError, match="s: 1 of 4 rows refused"):
        refusals.check("s", rows(None, None, None, "a"), 0.2)


def test_the_message_has_the_first_row_of_every_reason_the_commonest_first():
    with pytest.raises(ValueError, match="rows refused") as caught:
        refusals.check("audio/x", rows(None, "a", "b", "b", None), 0.5)
    assert str(caught.value) == (
        "audio/x: 3 of 5 rows refused, more than corpus.max_refused (0.5): b 2, such as row 2, 2.wav: seen in 2; a 1, "
        "such as row 1, 1.wav: seen in 1. Look at these; to use the other rows all the same, raise "
        "corpus.max_refused"
    )


def test_names_and_details_cannot_break_the_message():
    row = {"source_row": 0, "source_path": "a\nb" + "c" * 999, "reason": "r", "detail": None}
    with pytest.raises(ValueError, match="such as row 0, a.bc{197}\\.\\.\\.: no name") as caught:
        refusals.check("s", [row], 0.0)
    assert len(str(caught.value).splitlines()) == 1


def test_the_summary_counts_every_reason():
    part = pl.DataFrame({"reason": ["a", None, "b", "a"]})
    assert refusals.summary(part) == "4 rows, 3 refused (a 2, b 1)"
    assert refusals.summary(part.filter(pl.col("reason").is_null())) == "1 rows, 0 refused"
