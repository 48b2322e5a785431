"""What figures look up in a corpus: its clips, and what it knows of them; what it does not know is empty."""

from pathlib import Path

import polars as pl
import pytest

from tests.support.planted_heat import SIZES, SPOKEN, write_corpus, write_run
from ves.report.clips.lookup import Corpus
from ves.store.embeddings import Embeddings, load


@pytest.fixture
def val_embeddings(tmp_path: Path) -> Embeddings:
    return load(write_run(tmp_path, "dense-s0", 1.0) / "embeddings" / "val.zarr")


def test_what_a_corpus_knows(val_embeddings: Embeddings, tmp_path: Path) -> None:
    corpus = Corpus(val_embeddings, *write_corpus(tmp_path))
    assert list(corpus.clips) == val_embeddings.clip_id
    for place, (clip, row) in enumerate(corpus.clips.items()):
        assert (row["clip_row"], row["image_row"], row["image_id"]) == (place, place, val_embeddings.image_id[place])
        assert [word.text for word in corpus.phrases[clip] if word.object >= 0] == [text for text, *_ in SPOKEN]
        assert corpus.picture(row).size == SIZES[place]
        assert len(corpus.samples(row, 0.1)) == 1_600
    assert set(corpus.masks) == {(image, thing) for image in val_embeddings.image_id for thing in (0, 1)}
    assert corpus.transcripts == {}


def test_without_truth_there_is_nothing_and_a_message(val_embeddings: Embeddings, tmp_path: Path, caplog) -> None:
    caplog.set_level("INFO")
    data, pictures, _ = write_corpus(tmp_path)
    corpus = Corpus(val_embeddings, data, pictures, tmp_path / "absent")
    assert (corpus.phrases, corpus.masks, corpus.transcripts) == ({}, {}, {})
    assert "this corpus has no word timings: figures show moments instead of words" in caplog.text


def test_files_of_another_corpus_are_named(val_embeddings: Embeddings, tmp_path: Path) -> None:
    data, pictures, truth = write_corpus(tmp_path)
    corpus = Corpus(val_embeddings, data, pictures, truth)
    first, second, _ = corpus.clips.values()
    with pytest.raises(ValueError, match=r"images/a\.parquet: not the pictures of images\.parquet; ingest again"):
        corpus.picture({**first, "row_in_shard": second["row_in_shard"]})
    pl.read_parquet(data.manifest).head(2).write_parquet(data.manifest)
    with pytest.raises(ValueError, match=r"manifest\.parquet: lacks clips of the embeddings of dense-s0; embed them"):
        Corpus(val_embeddings, data, pictures, truth)
