"""Pages of tables and Markdown: what was in them is in the HTML, and no more than that runs."""

import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from PIL import Image

from ves.report import html as html_page


def page(source: Path, text: str) -> str:
    source.write_text(text, encoding="utf-8")
    out = source.with_name("out") / "page.html"
    html_page.write(source, out)
    return out.read_text(encoding="utf-8")


def cells(html: str, tag: str) -> list[str]:
    return re.findall(rf"<{tag}(?: [^>]*)?>(.*?)</{tag}>", html)


def test_a_table_keeps_its_cells_and_sets_numbers_to_the_right(tmp_path: Path) -> None:
    html = page(tmp_path / "of_losses.csv", 'loss,R@1,p,note\ndense,-1.5,,"a, b"\nglobal,"1,000",0.2,\n')
    assert cells(html, "th") == ["loss", "R@1", "p", "note"]
    assert cells(html, "td") == ["dense", "-1.5", "", "a, b", "global", "1,000", "0.2", ""]
    assert html.count('<td class="number">') == 4 and html.count('<th class="number">') == 2
    assert "<h1>of losses</h1>" in html


def test_names_from_a_corpus_are_text_and_no_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    for html in (
        page(tmp_path / "a.csv", f"name\n{evil}\n"),
        page(tmp_path / "a.md", f"# {evil}\n\n| a |\n| --- |\n| {evil} |\n"),
    ):
        assert "<script" not in html and "&lt;script&gt;" in html


def test_labels_of_a_corpus_are_text_in_the_gallery_too() -> None:
    evil = '"><script>alert(1)</script>'
    files = {"film": "a.mp4", "file": "a.png", "strip": "a-strip.png"}
    clip = {"clip_id": "a", "language": evil, "gloss": evil, "words": [{"english": evil}, {"english": "cup"}], **files}
    gallery = html_page.render("gallery.html", title="t", clips=[clip], four_panels={evil: "panels.png"})
    assert "<script" not in gallery and gallery.count("&#34;&gt;&lt;script&gt;") == 6
    with pytest.raises(UndefinedError, match="four_panels"):
        html_page.render("gallery.html", title="t", clips=[])


def test_markdown_with_its_picture_stands_alone(tmp_path: Path) -> None:
    Image.new("RGB", (3, 2), "red").save(tmp_path / "splits.png")
    html = page(tmp_path / "splits.md", "# Splits\n\n![Clips](splits.png)\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n")
    assert cells(html, "td") == ["1", "2"] and "<h1>Splits</h1>" in html
    assert 'src="data:image/png;base64,iVBOR' in html and "splits.png" not in html


def test_what_cannot_become_a_page_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.txt: neither CSV nor Markdown"):
        page(tmp_path / "a.txt", "text")
    with pytest.raises(ValueError, match=r"a\.csv: empty"):
        page(tmp_path / "a.csv", "")
    assert "Nothing to list" in page(tmp_path / "a.csv", "a,b\n")
