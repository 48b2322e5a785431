"""Tables and pages of results as HTML, for a browser: each file stands alone, pictures included, and loads nothing.

What people and programs read stays CSV and Markdown; these are copies of it for a report.
"""

import base64
import csv
import html
import re
from collections.abc import Sequence
from pathlib import Path

from markdown_it import MarkdownIt

from ves.base.files import atomic

NUMBER = re.compile(r"[-+]?[\d,]*\.?\d+(e[-+]?\d+)?%?$")
PICTURE = re.compile(r'(<img src=")([^":]+)(")')  # as markdown-it writes it; one with a colon is no file
STYLE = """
body { margin: 0 auto; padding: 1rem 1.5rem 3rem; color: #1b1b1f; background: #fff; }
body { font: 15px/1.5 system-ui, sans-serif; }
p, h1, h2 { max-width: 60rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.7rem; border-bottom: 1px solid #e3e3e8; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #8b8b96; white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; }
tbody tr:hover { background: #f4f4f6; }
img { max-width: 100%; }
code { background: #f4f4f6; padding: 0 0.25em; border-radius: 3px; }
"""


def whole(title: str, body: str, style: str = "") -> str:
    """A page of this body, which is HTML already."""
    head = '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    head += f'<title>{html.escape(title)}</title>\n<link rel="icon" href="data:,">\n<style>{STYLE}{style}</style>\n'
    return f'<!doctype html>\n<html lang="en">\n<head>\n{head}</head>\n<body>\n{body}\n</body>\n</html>\n'


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; columns of numbers, empty cells aside, are set to the right."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    numeric = [any(column) and all(NUMBER.match(cell) for cell in column if cell) for column in columns]

    def line(cells: Sequence[str], tag: str) -> str:
        kinds = [' class="number"' if right else "" for right in numeric]
        made = [f"<{tag}{kind}>{html.escape(cell)}</{tag}>" for cell, kind in zip(cells, kinds, strict=True)]
        return f"<tr>{''.join(made)}</tr>"

    body = "\n".join(line(row, "td") for row in rows)
    return f'<div class="wide"><table>\n<thead>{line(header, "th")}</thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


def _of_csv(source: Path) -> str:
    with source.open(encoding="utf-8", newline="") as opened:
        header, *rows = csv.reader(opened)
    title = f"<h1>{html.escape(source.stem.replace('_', ' '))}</h1>"
    return f"{title}\n{table(header, rows) if rows else '<p>Nothing to list.</p>'}"


def _of_markdown(source: Path) -> str:
    def embedded(found: re.Match[str]) -> str:
        content = base64.b64encode((source.parent / found[2]).read_bytes()).decode()
        return f"{found[1]}data:image/png;base64,{content}{found[3]}"

    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    text = reader.render(source.read_text(encoding="utf-8"))
    text = text.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")
    return PICTURE.sub(embedded, text)


def write(source: Path, out: Path) -> None:
    """The page of a CSV table or of a Markdown file, whose pictures are PNG files beside it.

    Raises ValueError for another kind of file or a table without a header, OSError that names what cannot be read.
    """
    makers = {".csv": _of_csv, ".md": _of_markdown}
    if source.suffix not in makers:
        raise ValueError(f"{source}: neither CSV nor Markdown; only these become a page")
    if not source.stat().st_size:
        raise ValueError(f"{source}: empty; make it again")
    with atomic(out) as temporary:
        temporary.write_text(whole(source.stem, makers[source.suffix](source)), encoding="utf-8")
