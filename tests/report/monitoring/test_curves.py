"""The figure of a training: what it draws, that it is the same each time, and what it says of a log that is none."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ves.config.experiment import run_config
from ves.report.monitoring.curves import Panel, draw, panels, read, running_mean


def entry(step: int, **more: float) -> dict[str, float]:
    values = {"loss": 3.0 / step, "learning_rate": 1e-4 * step, "gradient_norm": 1.0 + step % 3}
    return {"step": step, "temperature": 0.05, **values, **more}


@pytest.fixture
def logged(tiny_run) -> Path:
    """A run folder with a log of 30 steps and two evaluations."""
    run = tiny_run()
    lines = [entry(step, **({"tune/R@10": 4.0 * step} if step % 15 == 0 else {})) for step in range(1, 31)]
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


def colours(path: Path) -> set[tuple[int, ...]]:
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    return set(map(tuple, np.unique(pixels, axis=0).tolist()))


def test_it_is_drawn_and_the_same_each_time(logged: Path, tmp_path: Path) -> None:
    draw(logged, tmp_path / "a.png")
    draw(logged, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (0x3B, 0x5B, 0x7A) in colours(tmp_path / "a.png")
    lines = (logged / "log.jsonl").read_text().replace('"tune/R@10": 120.0', '"tune/R@10": 60.0')
    (logged / "log.jsonl").write_text(lines)
    draw(logged, tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes() != (tmp_path / "a.png").read_bytes()


def test_a_loss_that_is_not_finite_and_an_early_end_are_drawn(logged: Path, tmp_path: Path) -> None:
    (logged / "log.jsonl").write_text(json.dumps(entry(1, loss=float("nan"))) + "\n")
    draw(logged, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 0


def test_terms_are_drawn_where_there_are_several(tiny_run) -> None:
    config = run_config(tiny_run())
    assert list(panels(config, [])[0].keys) == ["loss"]
    both = config.train.model_copy(update={"objective": {"max_mean": 0.7, "mean_mean": 0.3}})
    loss = panels(config.model_copy(update={"train": both}), [])[0]
    assert list(loss.keys) == ["loss", "max_mean/loss", "mean_mean/loss"]
    assert loss.level is not None and loss.level[0] == pytest.approx(np.log(16))  # micro_batch 32 of batches of 16


def test_a_loss_without_a_level_of_chance_has_no_line(tiny_run) -> None:
    config = run_config(tiny_run())
    other = config.model_copy(update={"train": config.train.model_copy(update={"loss": "sigmoid"})})
    assert panels(config, [])[0].level is not None
    assert panels(other, [])[0].level is None


def test_recall_on_tune_says_of_how_many_clips_and_what_chance_gives(tiny_run) -> None:
    config = run_config(tiny_run())

    def recall(**logged: float) -> list[Panel]:
        return [one for one in panels(config, [entry(1), entry(2, **logged)]) if "recall" in one.title]

    (panel,) = recall(**{"tune/R@10": 4.0, "tune/n": 300, "tune/chance_R@10": 10 / 3})
    assert panel.title == "recall on tune (R@10, %), 300 clips" and panel.level == (10 / 3, "chance")
    (panel,) = recall(**{"tune/R@10": 4.0})
    assert panel.level is None, "older logs do not say it"
    assert not recall(**{"tune/R@10": 100.0, "tune/n": 10, "tune/chance_R@10": 100.0}), "ten of ten are no recall"


def test_the_running_mean_is_that_of_a_loop() -> None:
    values = np.random.default_rng(0).normal(size=23)
    values[4] = np.nan
    for width in (1, 3, 5):
        half = width // 2
        slow = [
            np.nanmean(values[max(0, i - half) : i + half + 1]) if width > 1 or i != 4 else np.nan for i in range(23)
        ]
        np.testing.assert_allclose(running_mean(values, width), slow)


def test_a_log_that_is_none_is_named(logged: Path, tmp_path: Path) -> None:
    (logged / "log.jsonl").write_text('{"step": 1, "loss": 1}\n{"st')
    with pytest.raises(ValueError, match="log.jsonl: line 2 is not a step of a training"):
        draw(logged, tmp_path / "a.png")
    (logged / "log.jsonl").write_text("[1]\n")
    with pytest.raises(ValueError, match="line 1 is not a step"):
        read(logged / "log.jsonl")
    (logged / "log.jsonl").write_text("")
    with pytest.raises(ValueError, match="empty; train the run first"):
        read(logged / "log.jsonl")
    (logged / "log.jsonl").unlink()
    with pytest.raises(FileNotFoundError, match="absent; training writes it"):
        draw(logged, tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()
