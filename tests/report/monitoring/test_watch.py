"""What is shown while a model trains: it is there, it is the same clips, and the model does not notice."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from ves.base.files import write_json
from ves.config.experiment import RunConfig, run_config
from ves.models.towers import VeS
from ves.report.clips.spoken import spaced
from ves.report.monitoring.heatmaps import Samples, embeddings
from ves.report.monitoring.watch import watching
from ves.training.dataset import PairReader, clips
from ves.training.hooks import Bar, bar
from ves.training.train import train

QUIET = {"tensorboard": False, "wandb": None}


def watched(run: Path, tiny, **changes: Any) -> Path:
    """The run, asked to show what the workflow would show of it."""
    corpus = Path(tiny[1].manifest).parent
    settings = {"log": QUIET, "visualise": {"every": 2, "samples": 2}}
    paths = {"pictures": str(corpus / "images"), "truth": str(corpus / "truth")}
    write_json(run / "watch.json", settings | paths | changes)
    return run


def pictures(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "watched").iterdir())


def test_the_model_does_not_notice(tiny, tiny_run) -> None:
    """Dropout and masking draw random numbers: a look that drew any, or left another mode, would show."""
    runs = [tiny_run("plain", epochs=0.3), watched(tiny_run("watched", epochs=0.3), tiny)]
    for run in runs:
        config = run_config(run)
        model = config.model.model_copy(update={"dropout": 0.1})
        audio = config.audio.model_copy(update={"mask_time_prob": 0.1})
        (run / "config.json").write_text(config.model_copy(update={"model": model, "audio": audio}).model_dump_json())
        train(run, watching)
    plain, shown = ((run / "model.safetensors").read_bytes() for run in runs)
    assert plain == shown
    assert not (runs[0] / "watched").exists()
    last = json.loads((runs[1] / "log.jsonl").read_text().splitlines()[-1])["step"]
    assert pictures(runs[1]) == [f"step-{step:08d}.png" for step in sorted({*range(2, last, 2), last})]


def test_a_training_that_starts_anew_forgets_the_old_pictures(tiny, tiny_run) -> None:
    run = watched(tiny_run(epochs=0.1), tiny)
    for name in ("step-00000999.png", "notes.txt"):
        (run / "watched").mkdir(exist_ok=True)
        (run / "watched" / name).write_text("old")
    with watching(run, run_config(run), run / "checkpoints", 5, 10):
        pass
    assert pictures(run) == ["notes.txt", "step-00000999.png"]  # a resume leaves them
    with watching(run, run_config(run), run / "checkpoints", 0, 10):
        pass
    assert pictures(run) == ["notes.txt"]


@pytest.fixture(scope="module")
def little(tiny) -> tuple[VeS, PairReader]:
    config, data = tiny
    reader = PairReader(data, config.audio.seconds)
    return VeS(config.audio, config.model, reader.features.width, 0.05).train(), reader


def samples(tiny, truth: Path) -> Samples:
    config, data = tiny
    run = RunConfig(
        run="dense", seed=0, data=data, audio=config.audio, vision=None, model=config.model, train=config.train
    )
    return Samples(run, 2, Path(data.manifest).parent / "images", truth)


def states() -> list[bytes]:
    return [torch.get_rng_state().numpy().tobytes(), repr(np.random.get_state()).encode()]


def test_the_same_clips_are_shown_of_every_step(tiny, little) -> None:
    """Words that name two objects of the picture, with their heat at this step; on a resume the same."""
    truth = Path(tiny[1].manifest).parent / "truth"
    before, looker = states(), samples(tiny, truth)
    first = looker.draw(2, *little)
    assert states() == before and little[0].training
    again = looker.draw(4, *little)
    assert list(first) == list(again) == list(samples(tiny, truth).draw(6, *little))
    assert len(first) == 2
    tune = {name[:8] for name in clips(tiny[1], "tune")["clip_id"]}
    assert set(first) <= tune
    assert len(looker.viewings) == 2
    for viewing in looker.viewings:
        assert len({word.object for word in viewing.shown}) >= 2
        assert all(mask is not None and mask.shape == viewing.picture.size[::-1] for mask in viewing.masks)


def test_heat_is_that_of_the_step(tiny, little) -> None:
    """The page of a step differs from that of another model only in what the model says."""
    model, reader = little
    looker = samples(tiny, Path(tiny[1].manifest).parent / "truth")
    first, same = looker.draw(2, model, reader), looker.draw(2, model, reader)
    assert all(first[name].tobytes() == same[name].tobytes() for name in first)
    other = VeS(tiny[0].audio, tiny[0].model, reader.features.width, 0.05)
    changed = looker.draw(2, other, reader)
    assert all(first[name].tobytes() != changed[name].tobytes() for name in first)


def test_without_word_timings_the_moments_do_not_depend_on_the_model(tiny, little, caplog) -> None:
    caplog.set_level("INFO")
    looker = samples(tiny, Path("absent"))
    assert len(looker.draw(2, *little)) == 2
    assert "no word timings: figures show moments instead of words" in caplog.text
    for viewing in looker.viewings:
        assert [word.english for word in viewing.shown] == ["evenly spaced"] * 3
        starts = [word.start_s for word in viewing.shown]
        assert starts == sorted(starts) and all(mask is None for mask in viewing.masks)


def test_moments_part_what_is_valid() -> None:
    centres, valid = np.arange(10) / 10, np.arange(10) < 6
    assert [word.text for word in spaced(valid, centres)] == ["at 0.1 s", "at 0.3 s", "at 0.5 s"]
    assert [word.text for word in spaced(np.arange(10) == 4, centres)] == ["at 0.4 s"]
    assert spaced(np.zeros(10, bool), centres) == []


def test_embeddings_are_those_of_the_evaluated_model(tiny, little) -> None:
    """Without dropout, in fp32, each clip with its own image."""
    model, reader = little
    frame = clips(tiny[1], "tune")[:3]
    config = samples(tiny, Path("absent")).config
    found = embeddings(model, reader, frame, config)
    model.eval()
    with torch.no_grad():
        audio, mask = model.audio_tokens(*reader.waveforms(frame))
        image = model.image_tokens(reader.patches(frame["image_row"].to_numpy())[0])
    model.train()
    assert torch.equal(found.audio_tokens, audio.half()) and torch.equal(found.audio_mask, mask)
    assert torch.equal(found.image_tokens, image.half()) and found.clip_image.tolist() == [0, 1, 2]


def test_a_picture_that_cannot_be_drawn_ends_no_training(tiny, tiny_run, caplog) -> None:
    run = watched(tiny_run(epochs=0.1), tiny, pictures="nowhere")
    train(run, watching)
    assert (run / "model.safetensors").exists() and not (run / "watched").exists()
    assert "heatmaps of step " in caplog.text and "nowhere/" in caplog.text


def test_settings_that_are_none_are_named_before_the_first_step(tiny, tiny_run) -> None:
    run = watched(tiny_run(epochs=0.1), tiny, visualise={"every": 0, "samples": 2})
    with pytest.raises(ValueError, match=r"not a WatchConfig: visualise.every: input should be greater than 0$"):
        train(run, watching)
    (run / "watch.json").write_text("{")
    with pytest.raises(ValueError, match="watch.json: not valid JSON"):
        train(run, watching)


def test_nothing_is_drawn_that_was_not_asked_for(tiny, tiny_run) -> None:
    run = watched(tiny_run(epochs=0.1), tiny, visualise={"every": None, "samples": 2})
    train(run, watching)
    assert not (run / "watched").exists()


def test_the_bar_tells_pace_and_waiting_of_the_recent_steps(little) -> None:
    shown: list[str] = []
    looker = Bar(batch_size=10, advance=shown.append)
    for number in range(1, 61):
        slow = number <= 10  # forgotten by the end
        entry = {"step": number, "loss": 2.5, "temperature": 0.05, "seconds": 9.0 if slow else 0.5, "data_wait": 0.01}
        looker.step(entry, *little)
    assert len(shown) == 60
    assert shown[-1].startswith("loss 2.5, temperature 0.05, 20 pairs/s, data wait 2.0%, memory ")
    assert shown[0].startswith("loss 2.5, temperature 0.05, 1.11 pairs/s, data wait 0.1%")
    assert looker.text({"step": 61}).startswith("20 pairs/s")  # a step that was skipped has no loss


def test_the_bar_goes_on_from_the_checkpoint(tiny_run, little, capsys) -> None:
    config = run_config(tiny_run())
    with bar(Path("."), config, Path("."), 7, 8) as shown:
        shown.step({"loss": 1.0, "seconds": 0.5, "data_wait": 0.0}, *little)
    assert "train dense: 100%" in (text := capsys.readouterr().err) and "8/8" in text and "loss 1," in text


def test_too_few_clips_are_said(tiny, little, caplog) -> None:
    """Where no clip names two objects, nothing is drawn, and the log says how many were looked at."""
    looker = samples(tiny, Path(tiny[1].manifest).parent / "truth")
    looker.count = 500
    pages = looker.draw(2, *little)
    assert 0 < len(pages) < 500 and pl.Series(list(pages)).n_unique() == len(pages)
    assert f"only {len(pages)} of " in caplog.text
