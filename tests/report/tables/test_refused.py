"""refused.csv, counted by hand."""

from pathlib import Path

import polars as pl

from ves.report.tables import refused as refused_table


def rows(item: str, reason: str, names: list[str | None], detail: str | None = "so it is") -> list[dict]:
    return [
        {"item": item, "shard": "s", "source_row": n, "source_path": name, "reason": reason, "detail": detail}
        for n, name in enumerate(names)
    ]


def csv_rows(folder: Path, refused: list[dict], clips: int, images: int) -> list[dict]:
    schema = dict.fromkeys(("item", "shard", "source_path", "reason", "detail"), pl.String) | {"source_row": pl.UInt32}
    pl.DataFrame(refused, schema=schema).write_parquet(folder / "refused.parquet")
    pl.DataFrame({"clip_id": ["c"] * clips}).write_parquet(folder / "manifest.parquet")
    pl.DataFrame({"image_id": ["i"] * images}).write_parquet(folder / "images.parquet")
    files = {name: folder / f"{name}.parquet" for name in ("refused", "manifest", "images")}
    refused_table.write(**files, out=folder / "refused.csv")
    return pl.read_csv(folder / "refused.csv", infer_schema=False).to_dicts()


def test_reasons_are_counted_and_shares_are_of_all_rows_of_their_kind(tmp_path: Path) -> None:
    refused = rows("clip", "silent", ["a/1.wav"]) + rows("clip", "empty", ["a/2.wav", "a/3.wav"], "0 bytes")
    found = csv_rows(tmp_path, [*refused, *rows("image", "truncated", ["b/4.jpg"])], clips=7, images=3)
    assert [(row["item"], row["reason"], row["rows"], row["percent"]) for row in found] == [
        ("clip", "empty", "2", "20.00"),
        ("clip", "silent", "1", "10.00"),
        ("clip", "taken", "7", "70.00"),
        ("image", "truncated", "1", "25.00"),
        ("image", "taken", "3", "75.00"),
    ]
    assert (found[0]["such_as"], found[0]["example"]) == ("0 bytes", "2.wav")


def test_an_example_without_a_name_and_one_with_much_to_say(tmp_path: Path) -> None:
    found = csv_rows(tmp_path, rows("clip", "unreadable", [None], "x" * 500), clips=0, images=0)
    assert found[0]["example"] == "no name" and found[0]["such_as"] == "x" * (refused_table.LONGEST - 1) + "…"
    assert list(found[-1].values()) == ["image", "taken", "0", "0.00", "", ""]
