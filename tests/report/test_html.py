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
    assert cells(html, "th") == ["objective", "R@1", "p", "note"]
    assert cells(html, "td") == ["dense", "-1.5", "", "a, b", "global", "1,000", "0.2", ""]
    assert html.count('<td class="number">') == 4 and html.count('<th class="number">') == 2
    assert "<h1>of losses</h1>" in html


def test_pages_say_in_words_what_files_call_by_a_name(tmp_path: Path) -> None:
    html = page(tmp_path / "a.csv", "loss,denseav_mAP,random_patch,wall_s\ndense,1.00,7.53,2\n")
    assert cells(html, "th") == ["objective", "DenseAV mAP", "random patch", "seconds by the clock"]
    html = page(tmp_path / "b.csv", "protocol,metric,heat,reason,group\nvggss,mass_inside,wrong_clip,no_language,a_b\n")
    assert cells(html, "td") == ["VGG-SS", "similarity inside", "wrong clip", "no language", "a_b"]


def test_a_column_without_a_value_is_left_out(tmp_path: Path) -> None:
    """Such as R@50 of 20 pictures, which table1.csv leaves empty."""
    html = page(tmp_path / "a.csv", "loss,R@1,R@50,n\ndense,1.00,,20\nglobal,,,20\n")
    assert cells(html, "th") == ["objective", "R@1", "n"]
    assert cells(html, "td") == ["dense", "1.00", "20", "global", "", "20"]


def test_a_table_in_a_page_of_others_is_the_table_alone(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("loss,R@1\n<b>,1.00\n")
    text = html_page.part(tmp_path / "a.csv")
    assert text.startswith('<div class="wide" tabindex="0"><table class="ves-table">') and "<style" not in text
    assert cells(text, "td") == ["&lt;b&gt;", "1.00"]


def test_names_from_a_corpus_are_text_and_no_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    for html in (
        page(tmp_path / "a.csv", f"name\n{evil}\n"),
        page(tmp_path / "a.md", f"# {evil}\n\n| a |\n| --- |\n| {evil} |\n"),
    ):
        assert "<script" not in html and "&lt;script&gt;" in html


def test_labels_of_a_corpus_are_text_in_the_gallery_too() -> None:
    evil = '"><script>alert(1)</script>'
    names = ("film", "poster", "thumbnail", "file", "file_values", "strip", "strip_values")
    files = {name: f"a-{name}" for name in names}
    clip = {"clip_id": "a", "language": evil, "gloss": evil, "words": [{"english": evil}, {"english": "cup"}], **files}
    gallery = html_page.render("gallery.html", title="t", clips=[clip], four_panels={evil: "panels.png"})
    assert "<script" not in gallery and gallery.count("&#34;&gt;&lt;script&gt;") == 7
    with pytest.raises(UndefinedError, match="four_panels"):
        html_page.render("gallery.html", title="t", clips=[])


def test_markdown_with_its_picture_stands_alone(tmp_path: Path) -> None:
    Image.new("RGB", (3, 2), "red").save(tmp_path / "splits.png")
    html = page(tmp_path / "splits.md", "# Splits\n\n![Clips](splits.png)\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n")
    assert cells(html, "td") == ["1", "2"] and "<h1>Splits</h1>" in html
    assert 'src="data:image/png;base64,iVBOR' in html and "splits.png" not in html


def test_a_page_leads_back_only_where_it_is_told_to(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    (tmp_path / "b.md").write_text("# b\n")
    for name in ("a.csv", "b.md"):
        html_page.write(tmp_path / name, tmp_path / "page.html", "../index.html")
        assert '<a href="../index.html">' in (tmp_path / "page.html").read_text()
        html_page.write(tmp_path / name, tmp_path / "page.html")
        assert "<a " not in (tmp_path / "page.html").read_text()


def test_no_text_of_the_report_has_what_would_become_an_address_of_mail() -> None:
    """docutils takes R@10 for one, except between double backquotes."""
    texts = sorted(Path("workflow/report").glob("*.rst"))
    assert len(texts) > 10
    for file in texts:
        plain = re.sub(r"``[^`]*``", "", file.read_text(encoding="utf-8"))
        assert not re.findall(r"\w@\w", plain), file
        assert "csv-table" not in plain, f"{file}: a header of a table may have R@10; ves html-tables makes tables"


def test_what_cannot_become_a_page_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.txt: neither CSV nor Markdown"):
        page(tmp_path / "a.txt", "text")
    with pytest.raises(ValueError, match=r"a\.csv: empty"):
        page(tmp_path / "a.csv", "")
    assert "Nothing to list" in page(tmp_path / "a.csv", "a,b\n")
