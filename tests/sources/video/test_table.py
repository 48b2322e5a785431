"""Tables of films: VGGSound's own form, and one with a header; a fault is named with its row."""

from pathlib import Path

import pytest

from tests.support.pages import code_blocks
from ves.sources.video.table import Row, read

VGGSOUND = """\
---g-f_I2yQ,1,"people marching",test
--0PQM4-hqg,30,"waterfall burbling, far",train
-0DdlOuIFUI,550,playing bass drum,train
"""


def table(folder: Path, text: str) -> Path:
    (folder / "films.csv").write_text(text, encoding="utf-8")
    return folder / "films.csv"


def test_vggsound_has_no_header_and_its_starts_are_in_the_names_of_the_files(tmp_path: Path) -> None:
    assert read(table(tmp_path, VGGSOUND)) == [
        Row(1, "---g-f_I2yQ_000001", "people marching", "val"),
        Row(2, "--0PQM4-hqg_000030", "waterfall burbling, far", "train"),
        Row(3, "-0DdlOuIFUI_000550", "playing bass drum", "train"),
    ]


def test_a_header_names_the_columns_in_any_order(tmp_path: Path) -> None:
    text = "\ufeffSplit,file,label\ntune,a/b.mp4, bell \n,c,unknown\n"
    assert read(table(tmp_path, text)) == [Row(1, "a/b.mp4", "bell", "tune"), Row(2, "c", None, None)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no row"),
        ("file,lable\na,b\n", r"column 'lable' is not one of file, label, split, start; if you mean 'label', rename"),
        ("file,label,label\na,b,c\n", "the header has the column label twice"),
        ("a,1,bell\n", r"row 1: 3 fields, unlike a header with `file`"),
        (
            "file,label\na,bell, or bird\n",
            r"row 1: 3 fields, unlike the header, which has 2; texts with commas stand in",
        ),
        ("file,label\nb,x\n,bell\n", "row 2: it names no file"),
        ("file,split\na,dev\n", r"row 1: split 'dev' is not one of train, tune, val, test"),
        ("file,start\na,soon\n", "row 1: start 'soon' is no whole number of seconds"),
        ("file,start\na,-1\n", "row 1: start '-1' is no whole number of seconds"),
        ("file,label\na,x\nb,x\na,y\n", "row 3: 'a' stands in row 1 too; keep one of them"),
    ],
)
def test_a_fault_names_file_row_and_what_to_do(tmp_path: Path, text: str, words: str) -> None:
    path = table(tmp_path, text)
    with pytest.raises(ValueError, match=f"^corpus.video.table: {path}.*{words}"):
        read(path)


def test_the_table_of_the_page_is_read(tmp_path: Path) -> None:
    (text,) = code_blocks("docs/films.md", "csv")
    assert read(table(tmp_path, text)) == [
        Row(1, "birds/monday.mp4", "robin, far", "train"),
        Row(2, "birds/tuesday", "wren", "val"),
    ]


def test_what_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "films.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="cannot be read as CSV in UTF-8"):
        read(tmp_path / "films.csv")
