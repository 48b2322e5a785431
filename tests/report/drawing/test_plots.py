"""What all plots share: the same bytes whatever the user's matplotlibrc, and letters of every script."""

from pathlib import Path

from matplotlib import rc_context

from ves.report.drawing import plots


def plot(path: Path) -> bytes:
    with plots.our_style():
        figure = plots.figure(2.0, 1.0, 50)
        figure.add_subplot().set_title("Hindi हिन्दी தமிழ்")
        plots.save(figure, path)
    return path.read_bytes()


def test_the_users_settings_do_not_matter_and_every_letter_has_a_font(tmp_path: Path) -> None:
    """A letter without a font is a warning of matplotlib, and so an error here."""
    plain = plot(tmp_path / "plain.png")
    with rc_context({"axes.facecolor": "red", "font.size": 20, "font.family": "monospace"}):
        assert plot(tmp_path / "other.png") == plain
