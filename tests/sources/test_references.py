"""References to pictures: by what of a name they are found, and all the ways in which that fails."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from ves.sources.references import LEVELS, resolve

PICTURES = pl.DataFrame(
    [
        ("Images/a.jpg", "A", None),
        ("Images/b.jpg", "B", None),
        ("Other/b.jpg", "B2", None),  # another picture of the same file name
        ("Images/c.JPG", "C", None),
        ("Images/c2.jpg", "C", None),  # the same content under a second name
        ("Images/broken.jpg", "X", "truncated"),
        ("/Images/d.jpg", "D", None),
        ("Copies/d.jpg", "D", None),  # the same content: not ambiguous
        ("Images/e.jpg", "E", "truncated"),
        ("Sound/E.png", "E2", None),
        ("", "Z", None),
        (None, "Z2", None),
    ],
    schema=["source_path", "image_id", "reason"],
    orient="row",
)


def _one(reference: str) -> tuple:
    return resolve(pl.Series([reference]), PICTURES).select("level", "image_id", "reason").row(0)


def test_by_eye():
    written, path, file, caseless, bare = LEVELS
    assert _one("Images/a.jpg") == (written, "A", None)
    assert _one("/Images/a.jpg") == (path, "A", None)
    assert _one("Images/d.jpg") == (path, "D", None)
    assert _one("/Images/d.jpg") == (written, "D", None)
    assert _one("B.JPG")[:2] == (caseless, None)
    assert _one("/p/A.Jpg") == (caseless, "A", None)
    assert _one("a.jpg") == (file, "A", None)
    assert _one("elsewhere/a.jpg") == (file, "A", None)
    assert _one("Images/A.png") == (bare, "A", None)
    assert _one("C") == (bare, "C", None)
    assert _one("c.jpg") == (caseless, "C", None)
    assert _one("Images/c2.jpg") == (written, "C", None)
    assert _one("Other/b.jpg") == (written, "B2", None)
    assert _one("d.jpg") == (file, "D", None)


def test_refusals():
    assert _one("Images/nowhere.jpg")[1:] == (None, "image_missing")
    assert _one("b.jpg")[1:] == (None, "image_ambiguous")
    assert _one("Images/broken.jpg")[1:] == (None, "image_refused")
    assert _one("Images/e.jpg")[1:] == (None, "image_refused")  # not another picture that a weaker level would find
    detail = resolve(pl.Series(["b.jpg", "x", "broken.jpg"]), PICTURES)
    assert dict(detail.select("image_reference", "detail").iter_rows()) == {
        "b.jpg": "b.jpg is the file name of 2 different pictures",
        "x": "no picture is called x",
        "broken.jpg": "broken.jpg: truncated",
    }


def _slow(reference: str, rows: list[tuple[str, str, str | None]]) -> tuple[str | None, str | None, str | None]:
    def path(name: str) -> str:
        return name.lstrip("/")

    def file(name: str) -> str:
        return path(name).split("/")[-1]

    def bare(name: str) -> str:
        return (file(name).rsplit(".", 1)[0] if "." in file(name) else file(name)).lower()

    keys = (lambda name: name, path, file, lambda name: file(name).lower(), bare)
    for level, key in zip(LEVELS, keys, strict=True):
        same = [row for row in rows if row[0] and key(row[0]) == key(reference)]
        contents = {row[1] for row in same if row[2] is None}
        if same:
            reason = {0: "image_refused", 1: None}.get(len(contents), "image_ambiguous")
            return level, (contents.pop() if reason is None else None), reason
    return None, None, "image_missing"


names = st.builds(
    "{}{}{}{}".format, st.sampled_from(["", "/"]), st.sampled_from(["", "p/", "q/"]), st.sampled_from(["a", "A", "b"]),
    st.sampled_from(["", ".jpg", ".JPG", ".x.jpg"]),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(names, min_size=1),
    st.lists(st.tuples(names, st.sampled_from("123"), st.sampled_from([None, None, "bad"]))),
)
def test_equals_looking_at_each_picture(references: list[str], rows: list[tuple[str, str, str | None]]):
    schema = {"source_path": pl.String, "image_id": pl.String, "reason": pl.String}
    got = resolve(pl.Series(references), pl.DataFrame(rows, schema=schema, orient="row"))
    assert got["image_reference"].sort().to_list() == sorted(set(references))
    for reference, *found in got.select("image_reference", "level", "image_id", "reason").iter_rows():
        assert tuple(found) == _slow(reference, rows)


def test_both_forms_of_unicode_find_each_other():
    for names in (("\u00e9.jpg", "e\u0301.jpg"), ("e\u0301.jpg", "\u00e9.jpg")):
        pictures = pl.DataFrame({"source_path": [f"Images/{names[0]}"], "image_id": ["A"], "reason": [None]},
                                schema_overrides={"reason": pl.String})  # fmt: skip
        found = resolve(pl.Series([f"Images/{names[1]}", f"{names[1]}"]), pictures)
        assert found["image_id"].to_list() == ["A", "A"]
    both = pl.DataFrame({"source_path": ["\u00e9.jpg", "e\u0301.jpg"], "image_id": ["A", "B"], "reason": [None, None]},
                        schema_overrides={"reason": pl.String})  # fmt: skip
    found = resolve(pl.Series(["\u00e9.jpg", "e\u0301.jpg"]), both).sort("image_id")
    assert found["image_id"].to_list() == ["A", "B"]
