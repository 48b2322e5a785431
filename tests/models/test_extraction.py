import json
import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from socket import gethostname

import pytest
import torch

from tests.support.features import Corpus, save_backbone
from ves.base import files, locks
from ves.base.files import read_json
from ves.config.experiment import VisionConfig
from ves.models import extraction
from ves.models.extraction import AnotherWriter, extract, seal, share
from ves.store.compression import CODECS
from ves.store.features_layout import ids_path, shard_path
from ves.store.features_reader import open_features
from ves.store.features_writer import write_shard
from ves.store.shard_format import BadStore
from ves.store.verify import verify

ROWS = 22  # of shards of four: the last holds two


@pytest.fixture(scope="module")
def vision(tmp_path_factory) -> VisionConfig:
    folder = tmp_path_factory.mktemp("backbones") / "tiny-dinov2"
    save_backbone(folder)
    return VisionConfig(
        backbone=str(folder),
        revision=None,
        image_size=16,
        fit="stretch",
        batch_size=3,
        compression=None,
        compile=False,
        class_token=False,
    )


@pytest.fixture
def corpus(tmp_path, monkeypatch) -> Corpus:
    monkeypatch.setattr("ves.store.features_layout.SHARD_ROWS", 4)
    made = Corpus(tmp_path)
    made.add("images/train-00000-of-00001", ROWS)
    return made


@pytest.fixture
def records(corpus) -> list[Path]:
    return [corpus.store.with_name("f.zarr.parts") / f"{number}-of-3.json" for number in (1, 2, 3)]


def job(corpus: Corpus, vision: VisionConfig, record: Path) -> None:
    extract(vision, corpus.images, corpus.pictures, corpus.store, record.stem, record)


@pytest.mark.parametrize(("shards", "jobs"), [(1, 1), (6, 1), (6, 4), (17, 3), (2, 5), (1134, 64)])
def test_every_shard_has_one_job_and_jobs_are_alike(shards, jobs):
    shares = [share(shards, f"{number}-of-{jobs}") for number in range(1, jobs + 1)]
    assert [shard for own in shares for shard in own] == list(range(shards))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("part", ["0-of-3", "4-of-3", "1-of-0", "1/3", "1-of-3 ", "-1-of-3", ""])
def test_a_part_that_is_none_is_refused(part):
    with pytest.raises(ValueError, match="is not of the form 1-of-4"):
        share(8, part)


def test_the_bytes_do_not_depend_on_the_number_of_jobs(corpus, vision):
    corpus.extract(vision)
    one, manifest = corpus.files(), corpus.manifest.read_bytes()
    for jobs in (2, 3, 9):
        shutil.rmtree(corpus.store)
        corpus.extract(vision, jobs)
        assert corpus.files() == one and corpus.manifest.read_bytes() == manifest, jobs
    assert len(open_features(corpus.store)) == ROWS


def test_nothing_is_read_before_the_last_job_and_its_seal(corpus, vision, records):
    for record in records:
        with pytest.raises(BadStore):
            open_features(corpus.store)
        job(corpus, vision, record)
    with pytest.raises(BadStore, match="incomplete"):
        open_features(corpus.store)
    seal(corpus.images, corpus.store, records, corpus.manifest)
    assert len(open_features(corpus.store)) == ROWS


def test_the_attributes_tell_all_that_the_issue_asks_for(corpus, vision):
    corpus.extract(vision)
    attrs = open_features(corpus.store).attrs
    assert set(attrs) == {
        *("backbone", "revision", "weight_hash", "image_size", "grid", "width", "fit", "normalisation", "recipe"),
        *("dtype", "batch_size", "compiled", "device", "versions", "complete"),
    }
    assert attrs["dtype"] == "bfloat16" and attrs["batch_size"] == 3 and attrs["device"]


def test_a_store_without_the_newer_attributes_is_gone_on_with(corpus, vision):
    """It was extracted before they were: its rows stay, and so does what it says."""
    corpus.extract(vision)
    document = read_json(corpus.store / "zarr.json")
    for name in ("dtype", "batch_size", "device"):
        del document["attributes"][name]
    files.write_json(corpus.store / "zarr.json", document)
    before = corpus.files()
    corpus.extract(vision)
    assert corpus.files() == before and "device" not in read_json(corpus.manifest)["attrs"]


def test_parts_that_are_not_all_are_not_sealed(corpus, vision, records):
    for record in records:
        job(corpus, vision, record)
    for wrong in (records[:2], [*records, records[0]], []):
        with pytest.raises(ValueError, match="do not have each of its 6 shards once"):
            seal(corpus.images, corpus.store, wrong, corpus.manifest)
    assert not corpus.manifest.exists()
    with pytest.raises(BadStore, match="incomplete"):
        open_features(corpus.store)


def test_what_changed_after_its_job_is_not_sealed_and_its_job_runs_again(corpus, vision, records):
    for record in records:
        job(corpus, vision, record)
    shard_path(corpus.store, 3).unlink()
    with pytest.raises(BadStore, match=r"c/3/0/0: changed since it was extracted; run again"):
        seal(corpus.images, corpus.store, records, corpus.manifest)
    assert [record.exists() for record in records] == [True, False, True]
    job(corpus, vision, records[1])
    seal(corpus.images, corpus.store, records, corpus.manifest)
    assert len(open_features(corpus.store)) == ROWS


def test_parts_of_other_images_are_not_sealed(corpus, vision, records):
    for record in records:
        job(corpus, vision, record)
    corpus.list(list(range(ROWS - 1, -1, -1)))
    with pytest.raises(BadStore, match="changed since it was extracted"):
        seal(corpus.images, corpus.store, records, corpus.manifest)


def test_a_second_writer_of_a_shard_fails_and_the_first_goes_on(corpus, vision, monkeypatch):
    """While the first one stands within its first shard, others come: of the same part, and of one that overlaps."""
    corpus.extract(vision)
    final, observations = corpus.files(), []
    shutil.rmtree(corpus.store)
    real, outs = extraction.write_shard, [corpus.store.with_name(f"{name}.json") for name in "abc"]

    def write(store: Path, shard: int, *arguments) -> None:
        if shard == 0:
            before = corpus.files()
            for part, out, first in (("1-of-1", outs[1], 0), ("2-of-3", outs[2], 2)):
                with pytest.raises(AnotherWriter) as raised:
                    extract(vision, corpus.images, corpus.pictures, corpus.store, part, out)
                observations.append(str(raised.value))
                assert (
                    f"f.zarr: shard {first} is being written by process {os.getpid()} on {gethostname()}; "
                    in observations[-1]
                )
                assert "wait until that is done" in observations[-1] and "\n" not in observations[-1]
            assert corpus.files() == before
        real(store, shard, *arguments)

    monkeypatch.setattr(extraction, "GRACE", 0.1)
    monkeypatch.setattr(extraction, "write_shard", write)
    extract(vision, corpus.images, corpus.pictures, corpus.store, "1-of-1", outs[0])
    assert len(observations) == 2 and [out.exists() for out in outs] == [True, False, False]
    seal(corpus.images, corpus.store, outs[:1], corpus.manifest)
    assert corpus.files() == final


def test_jobs_of_other_parts_run_at_once(corpus, vision, records, monkeypatch):
    """The second begins and ends while the first stands within its first shard."""
    real = extraction.write_shard

    def write(store: Path, shard: int, *arguments) -> None:
        if shard == 0:
            job(corpus, vision, records[1])
            job(corpus, vision, records[2])
        real(store, shard, *arguments)

    monkeypatch.setattr(extraction, "write_shard", write)
    job(corpus, vision, records[0])
    seal(corpus.images, corpus.store, records, corpus.manifest)
    assert len(open_features(corpus.store)) == ROWS


def test_what_a_killed_workflow_left_dying_is_waited_for(corpus, vision, records, monkeypatch):
    """The shards are let go of when they have been asked for in vain."""
    orphan = ExitStack()
    orphan.enter_context(locks.hold(corpus.store.with_name("f.zarr.writers.lock"), range(6)))
    monkeypatch.setattr(locks.time, "sleep", lambda _: orphan.close())
    job(corpus, vision, records[0])
    assert records[0].is_file()


def test_a_store_that_was_sealed_is_opened_again_before_a_shard_is_written(corpus, vision, monkeypatch):
    corpus.extract(vision)
    shard_path(corpus.store, 2).unlink()
    real, observations = extraction.write_shard, []

    def write(store: Path, shard: int, *arguments) -> None:
        observations.append(json.loads((store / "zarr.json").read_text())["attributes"]["complete"])
        real(store, shard, *arguments)

    monkeypatch.setattr(extraction, "write_shard", write)
    corpus.extract(vision)
    assert observations == [False] and len(open_features(corpus.store)) == ROWS


def test_jobs_of_another_backbone_do_not_join_in(corpus, vision, records, tmp_path):
    job(corpus, vision, records[0])
    save_backbone(tmp_path / "other", seed=1)
    before = corpus.files()
    for other in ({"backbone": str(tmp_path / "other")}, {"image_size": 32}, {"fit": "pad"}):
        with pytest.raises(ValueError, match="made with (backbone|image_size|fit)"):
            job(corpus, vision.model_copy(update=other), records[1])
    assert corpus.files() == before and not records[1].exists()


def test_what_verify_finds_a_second_run_repairs_and_nothing_else(corpus, vision):
    """Rows of zeros under a right checksum, folders in the place of files, documents that are none."""
    corpus.extract(vision)
    sound, kept = corpus.files(), shard_path(corpus.store, 4).stat().st_ino
    ids = [name for name, _, _ in corpus.rows]
    tokens = open_features(corpus.store).read(range(8)).clone()
    tokens[5] = 0
    write_shard(corpus.store, 1, tokens[4:8], ids[4:8])
    for place in (shard_path(corpus.store, 2), ids_path(corpus.store, 3), corpus.store / "image_id/zarr.json"):
        place.unlink()
        place.mkdir()
        (place / "what").touch()
    (corpus.store / "patch_tokens/zarr.json").write_bytes(b"{")
    assert verify(corpus.store)
    corpus.extract(vision)
    assert corpus.files() == sound and verify(corpus.store) == []
    assert shard_path(corpus.store, 4).stat().st_ino == kept


def test_rows_that_are_not_finite_are_not_written(corpus, vision, records, monkeypatch):
    monkeypatch.setattr(
        "ves.models.features.patch_tokens", lambda model, squares, **_: torch.full((3, 16, 16), torch.nan).bfloat16()
    )
    with pytest.raises(ValueError, match=f"image {corpus.rows[0][0]}: the backbone's tokens are not finite"):
        job(corpus, vision, records[0])
    assert not shard_path(corpus.store, 0).exists() and not records[0].exists()


def test_a_failure_lets_go_of_every_lock(corpus, vision, records, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(extraction, "write_shard", lambda *arguments: (_ for _ in ()).throw(OSError("no room")))
        with pytest.raises(OSError, match="no room"):
            job(corpus, vision, records[0])
    monkeypatch.setattr(locks.time, "sleep", lambda _: pytest.fail("a shard is still held"))
    job(corpus, vision, records[0])
    assert [record["rows"] for record in read_json(records[0])] == [4, 4]


@pytest.mark.parametrize("name", CODECS)
def test_compressed_features_are_the_same_features(corpus, vision, name):
    corpus.extract(vision)
    expected = open_features(corpus.store).read(range(ROWS))
    with pytest.raises(ValueError, match=f"made with compression None, now '{name}'; delete it"):
        corpus.extract(vision.model_copy(update={"compression": name}))
    shutil.rmtree(corpus.store)
    corpus.extract(vision.model_copy(update={"compression": name}))
    whole = corpus.files()
    opened = open_features(corpus.store)
    assert opened.attrs["compression"] == name and torch.equal(opened.read(range(ROWS)), expected)
    assert verify(corpus.store) == []
    shard_path(corpus.store, 1).write_bytes(b"damaged")
    kept = shard_path(corpus.store, 2).stat().st_ino
    corpus.extract(vision.model_copy(update={"compression": name}), jobs=2)
    assert corpus.files() == whole and shard_path(corpus.store, 2).stat().st_ino == kept
