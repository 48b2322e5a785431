"""Documents of stores with any value in any place: verify and info find it or name it, readers raise or read right."""

import copy
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.embeddings import random_embeddings
from tests.support.small_stores import IDS, ROWS, manifest_of, small_shards, some_tokens, write_store
from ves.store import audio as audio_store
from ves.store import embeddings
from ves.store.audio import AudioStore, seal, write_group
from ves.store.describe import describe
from ves.store.features_reader import open_features
from ves.store.shard_format import BadStore
from ves.store.verify import verify

VALUES = [None, True, 0, -1, 1, 1.0, 2**40, 10**30, 1e999, float("nan"), "", "x", [], {}, [1], [None], {"a": 1}]
NAMED = (ValueError, OSError, BadStore)  # one line on the screen, that names a file
SHARD = "audio/A/x"
CLIPS = [np.arange(n, dtype=np.int16) for n in (50, 0, 130, 7)]


def places(content: Any, at: tuple = ()) -> Iterator[tuple]:
    yield at
    for key in content if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ():
        yield from places(content[key], (*at, key))


def mutations(document: Any) -> Iterator[Any]:
    """The document with another value in one place, or without one."""
    yield from VALUES
    for *above, last in filter(None, places(document)):
        for value in [*VALUES, ...]:
            changed = copy.deepcopy(document)
            holder = changed
            for key in above:
                holder = holder[key]
            if value is ...:
                del holder[last]
            else:
                holder[last] = value
            if json.dumps(changed) != json.dumps(document):
                yield changed


def features(folder: Path) -> tuple[Path, Callable[[], bool]]:
    store = write_store(folder / "f.zarr", some_tokens())

    def right() -> bool:
        opened = open_features(store)
        return opened.rows(IDS).tolist() == list(range(ROWS)) and torch.equal(opened.read(range(ROWS)), some_tokens())

    return store, right


def audio(folder: Path) -> tuple[Path, Callable[[], bool]]:
    store = folder / "audio.zarr"
    write_group(store / SHARD, CLIPS, [f"{n:032x}" for n in range(len(CLIPS))])
    seal(store, [SHARD])

    def right() -> bool:
        return all(np.array_equal(AudioStore(store).read(SHARD, row), clip) for row, clip in enumerate(CLIPS))

    return store, right


def embedding_store(folder: Path) -> tuple[Path, Callable[[], bool]]:
    store = folder / "val.zarr"
    made = random_embeddings(clips=3, images=2, tokens=3, dim=4)
    embeddings.write(store, made)
    return store, lambda: torch.equal(embeddings.load(store).audio_tokens, made.audio_tokens)


@pytest.mark.filterwarnings("ignore")  # zarr's, of keys that it does not know
@pytest.mark.parametrize("step", [31, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("make", [features, audio, embedding_store])
def test_no_document_misleads(make, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_store, "CHUNK", 40)
    monkeypatch.setattr(audio_store, "SHARD", 120)
    with small_shards():
        store, right = make(tmp_path)
        for path in [*sorted(store.rglob("zarr.json")), manifest_of(store)]:
            text = path.read_text()
            for changed in itertools.islice(mutations(json.loads(text)), 0, None, step):
                path.write_text(json.dumps(changed, indent=2, ensure_ascii=False) + "\n" * text.endswith("\n"))
                assert verify(store), f"{path}: {changed}"
                with suppress(*NAMED):
                    describe(store)
                said = str(store)
                try:
                    assert right(), f"{path}: {changed}"
                except NAMED as error:
                    said = str(error)
                assert str(store) in said, f"{path}: {changed}: {said}"
            path.write_text(text)
        assert verify(store) == [] and right()
