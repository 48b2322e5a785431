"""plan.md: what a download will bring, how long it will take and how much disk, to read before it starts."""

from datetime import datetime
from pathlib import Path
from typing import Any

from ves.base.files import atomic, write_json
from ves.base.markdown import table
from ves.config.experiment import PlanSettings
from ves.sources.vaani.disk_space import DiskSpace, disk_space
from ves.sources.vaani.plan import expected

STORES = {
    "audio.zarr": "samples, 16 kHz int16",
    "features": "patch tokens, bfloat16",
    "images": "the photographs, as downloaded",
    "tables": "parts, manifest, splits (about 0.4 kB a clip)",
    "source": "shards on their way",
}


def write(settings: PlanSettings, survey: Path, listing: Path, data: Path, page: Path, out: Path) -> None:
    """Write plan.json to `out`, then plan.md to `page`; `data` is the folder of the corpus (data/<corpus>).

    Too little space is reported on the page; it is no error before ves.sources.vaani.disk_space.check_disk_space.
    """
    plan = expected(settings, survey, listing, data / "survey", data / "chosen")
    write_json(out, plan)
    with atomic(page) as temporary:
        now = f"Written {datetime.now():%Y-%m-%d %H:%M}; what is there and what is free was so then.\n"
        temporary.write_text(f"{text(settings.corpus, plan, disk_space(plan, data))}\n{now}", encoding="utf-8")


def text(name: str, plan: dict[str, Any], disk: DiskSpace) -> str:
    """The page (Markdown)."""
    return "\n".join(
        [
            f"# Plan of {name}\n",
            f"`{plan['repository']}` at commit `{plan['revision']}`, from its listing and the footers and texts of "
            "its parquet files; no sound or picture was needed. ~ marks hours that are estimated, from the size of the "
            "sound.\n",
            *_verdict(plan, disk),
            *_pairs(plan),
            *_download(plan, disk),
            *_disk(disk, plan),
            *_pictures(plan),
            *_labels(plan),
        ]
    )


def _gb(size: int) -> str:
    """Gigabytes with one decimal; of little, with four."""
    return f"{size / 1e9:,.1f}" if not 0 < size < 50_000_000 else f"{size / 1e9:.4f}"


def _hours(row: dict[str, Any]) -> str:
    """Hours with one decimal; ~ before those that are estimated, in part or all."""
    return f"{'' if row['exact'] else '~'}{row['seconds'] / 3600:,.1f}"


def _duration(seconds: float) -> str:
    """A time, in minutes, hours or days."""
    if seconds < 90 * 60:
        return f"{max(1, round(seconds / 60))} min"
    return f"{seconds / 3600:.1f} h" if seconds < 72 * 3600 else f"{seconds / 86400:.1f} days"


def _verdict(plan: dict[str, Any], disk: DiskSpace) -> list[str]:
    short = disk.missing - disk.free
    fits = f"**It does not fit: {_gb(short)} GB too few.**" if short > 0 else "**It fits.**"
    lines = [f"{fits} {_gb(disk.missing)} GB more are needed in data/, {_gb(disk.free)} GB are free.\n"]
    if plan["stores"]["features"] is None:
        lines.append("Features are not counted: the width of the backbone is not known before it is here.\n")
    return lines


def _pairs(plan: dict[str, Any]) -> list[str]:
    """A warning where there are fewer photographs than pairs to report on."""
    if (images := plan["references"]["images"]) >= plan["pairs"]:
        return []
    return [f"**Too few photographs: {images:,}, for {plan['pairs']:,} pairs of val and tune.** Lower `split.val`.\n"]


def _download(plan: dict[str, Any], disk: DiskSpace) -> list[str]:
    rows = []
    for part in ("audio", "images"):
        sizes, left = [s["bytes"] for s in plan["shards"] if s["part"] == part], plan["left_out"][part]
        rows.append((part, f"{len(sizes):,}", _gb(sum(sizes)), f"{left['shards']:,}", _gb(left["bytes"])))
    rates, images = plan["rates"], plan["references"]["images"]
    download = _duration(disk.to_download / (rates["download_mb_s"] * 1e6))
    return [
        "## Download\n",
        table(("part", "shards", "GB", "left out: shards", "GB"), rows, left=1),
        "Left out are shards that the patterns match and that hold no chosen clip, or no picture of one.\n",
        f"{_gb(disk.to_download)} GB are still to come: {download} at {rates['download_mb_s']:g} MB/s. Features of "
        f"{images:,} photographs: {_duration(images / rates['features_s'])} at {rates['features_s']:g} a second. Both "
        "rates are assumptions (`plan` in the configuration).\n",
    ]


def _disk(disk: DiskSpace, plan: dict[str, Any]) -> list[str]:
    rows = [(store, STORES[store], _gb(size), _gb(disk.there[store])) for store, size in disk.needed.items()]
    rows.append(("all", "", _gb(sum(disk.needed.values())), _gb(sum(disk.there.values()))))
    kept = "all of them, since `corpus.keep_source` is true"
    if not plan["keep_source"]:
        kept = f"the {plan['downloads']} largest at once, and one that is being ingested; each is deleted after that"
    return [
        "## Disk\n",
        table(("data/", "what", "GB", "there already"), rows, left=2),
        f"Shards on their way: {kept}. Not counted: results/ (models, checkpoints, embeddings: some GB).\n",
    ]


def _pictures(plan: dict[str, Any]) -> list[str]:
    references = plan["references"]
    rows = [(f"found by {level}", n["references"], n["clips"]) for level, n in references["levels"].items()]
    rows.append(("several pictures bear the name", *references["ambiguous"].values()))
    rows.append(("no picture bears it", *references["missing"].values()))
    rows.append(("clips that name none", 0, references["empty"]["clips"]))
    return [
        "## Photographs\n",
        f"The clips name {references['distinct']:,} distinct references, for which at most {references['images']:,} "
        f"photographs come; {references['pictures']:,} are in the shards to download.\n",
        table(("reference", "distinct", "clips"), [(what, f"{n:,}", f"{clips:,}") for what, n, clips in rows], left=1),
        "A name that several bear is refused by the merge unless they are copies of one picture, which only their "
        "bytes tell. Clips without a photograph are refused and counted there.\n",
    ]


def _labels(plan: dict[str, Any]) -> list[str]:
    """Clips and hours: of all, by stratum, by language, by district."""
    total = plan["clips"], plan["clips_listed"]
    strata = {name: [row for row in plan["languages"] if row["stratum"] == name] for name in ("high", "mid", "low")}
    by_stratum = [
        (name, len(rows), f"{sum(r['clips'] for r in rows):,}", _hours(_sum(rows))) for name, rows in strata.items()
    ]
    languages = [
        (_label(row["language"]), f"{row['clips']:,}", _hours(row), row["stratum"] or "-") for row in plan["languages"]
    ]
    districts = [(_label(row["district"]), f"{row['clips']:,}", _hours(row)) for row in plan["districts"]]
    named = {key: sum(row[key] is not None for row in plan[f"{key}s"]) for key in ("language", "district")}
    return [
        "## Clips\n",
        f"{total[0]:,} clips of {total[1]:,} in these shards, {_hours(plan)} hours, {named['language']} languages, "
        f"{named['district']} districts. Some will be refused when they are decoded.\n",
        table(("stratum", "languages", "clips", "hours"), by_stratum, left=1),
        "### Languages\n",
        table(("language", "clips", "hours", "stratum"), languages, left=1),
        "### Districts\n",
        table(("district", "clips", "hours"), districts, left=1),
    ]


def _label(label: str | None) -> str:
    return "(none)" if label is None else label


def _sum(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"seconds": sum(row["seconds"] for row in rows), "exact": all(row["exact"] for row in rows)}
