"""Tables in Markdown, as a reader of Markdown sees them."""

from markdown_it import MarkdownIt

from ves.base.markdown import table


def test_columns_of_numbers_stand_to_the_right() -> None:
    assert table(["part", "GB"], [("audio", 1.5), ("images", "2")], left=1) == (
        "| part | GB |\n| --- | ---: |\n| audio | 1.5 |\n| images | 2 |\n"
    )
    assert table(["a", "b"], []) == "| a | b |\n| --- | --- |\n"


def test_no_label_ends_its_cell_or_its_row() -> None:
    html = MarkdownIt("commonmark").enable("table").render(table(["name"], [["a | b\n\n| c |"]]))
    assert html.count("<td>") == 1 and "<td>a | b | c |</td>" in html
