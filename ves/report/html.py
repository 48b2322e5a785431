"""Tables and pages of results as HTML, for a browser: each file stands alone, pictures included, and loads nothing.

What people and programs read stays CSV and Markdown; these are copies of it for a report.
"""

import base64
import csv
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt

from ves.base.files import atomic
from ves.report import labels

NUMBER = re.compile(r"[-+]?[\d,]*\.?\d+(e[-+]?\d+)?%?$")
PICTURE = re.compile(r'(<img src=")([^":]+)(")')  # as markdown-it writes it; one with a colon is no file
TEMPLATES = Environment(  # text becomes no markup, but for what a template says is `safe`
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    keep_trailing_newline=True,
)


def render(template: str, **content: Any) -> str:
    """A page by one of the templates. Raises jinja2.UndefinedError for a name in it that `content` lacks."""
    return TEMPLATES.get_template(template).render(content)


def _content(source: Path) -> dict[str, Any]:
    """The header and the rows of a CSV table in words (ves.report.labels), and which columns are numbers, empty cells
    aside: these are set to the right. A column without any value says nothing, and is left out.

    Raises ValueError that names a file without a header.
    """
    with source.open(encoding="utf-8", newline="") as opened:
        lines = list(csv.reader(opened))
    if not lines:
        raise ValueError(f"{source}: empty; make it again")
    names, *rows = lines
    columns = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
    columns = {name: cells for name, cells in columns.items() if any(cells) or not rows}
    shown = [[labels.cell(name, cell) for cell in cells] for name, cells in columns.items()]
    return {
        "header": [labels.column(name) for name in columns],
        "rows": list(zip(*shown, strict=True)),
        "numeric": [all(NUMBER.match(cell) for cell in cells if cell) for cells in columns.values()],
    }


def part(source: Path) -> str:
    """A CSV table as HTML without a page around it. Raises ValueError for a table without a header."""
    return render("part.html", **_content(source))


def _of_csv(source: Path, back: str | None) -> str:
    heading = source.stem.replace("_", " ")
    return render("table.html", title=source.stem, heading=heading, back=back, **_content(source))


def _of_markdown(source: Path, back: str | None) -> str:
    def embedded(image: re.Match[str]) -> str:
        before, file, after = image.groups()
        content = base64.b64encode((source.parent / file).read_bytes()).decode()
        return f"{before}data:image/png;base64,{content}{after}"

    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    text = reader.render(source.read_text(encoding="utf-8"))
    text = text.replace("<table>", '<div class="wide" tabindex="0"><table>').replace("</table>", "</table></div>")
    return render("page.html", title=source.stem, back=back, body=PICTURE.sub(embedded, text))


def write(source: Path, out: Path, back: str | None = None) -> None:
    """The page of a CSV table or of a Markdown file, whose pictures are PNG files beside it; `back` is the address of
    the page that it links back to.

    Raises ValueError for another kind of file or a table without a header, OSError that names what cannot be read.
    """
    makers = {".csv": _of_csv, ".md": _of_markdown}
    if source.suffix not in makers:
        raise ValueError(f"{source}: neither CSV nor Markdown; only these become a page")
    if not source.stat().st_size:
        raise ValueError(f"{source}: empty; make it again")
    with atomic(out) as temporary:
        temporary.write_text(makers[source.suffix](source, back), encoding="utf-8")
