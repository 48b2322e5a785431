"""Own recordings and pictures from a folder to the table, by the real command."""

import io
import json
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from tests.support.browsing import launched, needs_chromium, opened
from tests.support.recordings import tone_file
from tests.support.small_scenes import settings
from tests.support.workflow import copy_to, dry_run, method, report, run
from ves.sources import scenes

pytestmark = pytest.mark.slow  # two minutes

OWN = """
corpus:
  name: own
  kind: pairs
  pairs: {folder: my-pairs, tables: [pairs.csv], language: unknown, rows_per_shard: 151}
"""
ARGUMENTS = ("--configfile", "config/toy.yaml", "config/own.yaml")


def picture_file(image: str) -> str:
    """The file of a picture: Spoken Scenes spells its references in many ways."""
    return f"photographs/{Path(image).stem}.png"


def export(folder: Path) -> pl.DataFrame:
    """Spoken Scenes as somebody's own files: WAV and PNG in folders, and the table that pairs them."""
    made = settings(
        images=110, clips=300, languages=["hi", "bn"], speakers=24, audio_shards=2, image_shards=1, broken=0
    )
    for name in ("sound", "photographs"):
        (folder / name).mkdir(parents=True)
    rows = []
    for shard in scenes.list_shards(made):
        raw = folder.parent / "raw.parquet"
        scenes.fetch(made, shard["name"], raw, folder.parent / "truth.parquet")
        for row in pl.read_parquet(raw).iter_rows(named=True):
            if shard["part"] == "images":
                Image.open(io.BytesIO(row["image"]["bytes"])).save(folder / picture_file(row["image"]["path"]))
            else:
                name = f"sound/{len(rows)}.wav"
                (folder / name).write_bytes(row["audio"]["bytes"])
                rows.append((name, picture_file(row["referenceImage"]), row["language"], row["speakerID"]))
    return pl.DataFrame(rows, ["audio", "image", "language", "speaker"], orient="row")


@pytest.fixture(scope="module")
def finished_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in which own pairs went all the way: one is M4A, and one does not exist."""
    copy = copy_to(tmp_path_factory.mktemp("pairs") / "copy")
    table = export(copy / "my-pairs")
    (copy / "my-pairs/sound/phone.m4a").write_bytes(tone_file("ipod", "aac", 2.0))
    image, language, speaker = table.row(0)[1:]
    more = [("sound/phone.m4a", image, language, speaker), ("sound/gone.wav", image, language, speaker)]
    pl.concat([table, pl.DataFrame(more, table.schema, orient="row")]).write_csv(copy / "my-pairs/pairs.csv")
    (copy / "config/own.yaml").write_text(OWN)
    run(copy, *ARGUMENTS)
    return copy


def test_own_pairs_go_all_the_way_to_the_table(finished_copy: Path) -> None:
    table = pl.read_csv(finished_copy / "results/table1.csv")
    assert table["loss"].unique(maintain_order=True).to_list() == ["dense", "hybrid", "chance"]
    assert table["n"].unique().to_list() == [20]
    assert json.loads((finished_copy / "results/own/heatmaps/index.json").read_text())
    assert dry_run(finished_copy, *ARGUMENTS) == set()


@needs_chromium
def test_the_report_says_why_it_does_not_measure_where_words_point(finished_copy: Path) -> None:
    folder = report(finished_copy, *ARGUMENTS)
    with launched() as chromium, opened(chromium, folder / "report.html", warnings=False) as page:
        said = method(page)
        assert "Pairs of recordings and pictures from the folder my-pairs" in said
        assert "Not measured. That takes the times of spoken words and the outlines of objects" in said
        names = page.evaluate("Object.values(results).map((result) => result.name)")
    assert {"explorer.html", "heatmaps.html", "figure1.png", "refused.html"} <= set(names)
    assert not [name for name in names if "localisation" in name]


def test_every_row_of_the_table_is_in_or_refused_by_name(finished_copy: Path) -> None:
    manifest, refused = (
        pl.read_parquet(finished_copy / f"data/own/{name}.parquet") for name in ("manifest", "refused")
    )
    assert refused.select("source_path", "reason").rows() == [("sound/gone.wav", "missing_file")]
    assert len(manifest) == 301
    assert manifest.filter(source_path="sound/phone.m4a")["duration_s"].item() == pytest.approx(2.0, abs=0.1)
    assert set(manifest["language"]) == {"Hindi", "Bengali"}
