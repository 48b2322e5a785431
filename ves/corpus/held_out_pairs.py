"""Random choices that depend on what is chosen among, not on its order: chances by hash, shares, held-out pairs."""

import hashlib

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64, UInt32, UInt64

from ves.base import ids
from ves.config.experiment import SplitConfig


def _salt(seed: int, purpose: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}:{purpose}".encode(), digest_size=8).digest(), "little")


def _unit(bits: UInt64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """The upper 53 bits as a number in (0, 1)."""
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def mixed(bits: UInt64[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    """The finaliser of SplitMix64 (Steele et al. 2014)."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def chance_of_hashes(hashes: pl.Series, seed: int, purpose: str) -> Float64[np.ndarray, " n"]:
    """A number in (0, 1) for each id (a hash, as ves.base.ids has it), other for every seed and purpose.

    The head of the hash, mixed: 24 M ids take about a second.
    """
    return _unit(mixed(ids.heads(hashes) ^ np.uint64(_salt(seed, purpose))))


def chance_of_rows(
    names: list[str], file: UInt32[np.ndarray, " n"], row: UInt32[np.ndarray, " n"], seed: int, purpose: str
) -> Float64[np.ndarray, " n"]:
    """The same for rows of files: `file` is the place in `names` of the file that each `row` is in.

    Each file has a generator SplitMix64 of its own, begun by its name; a row's number is what that gives at that place.
    """
    begins = np.array([_salt(seed, f"{purpose}:{name}") for name in names], np.uint64)
    return _unit(mixed(begins[file] + (row.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)))


def chance_of_names(names: pl.Series, seed: int, purpose: str) -> Float64[np.ndarray, " n"]:
    """The same for any texts; for few of them (a microsecond each)."""
    salt = _salt(seed, purpose).to_bytes(8, "little")
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8, key=salt).digest() for name in names)
    return _unit(np.frombuffer(digests, "<u8"))


def shares(
    total: int, weights: Float64[np.ndarray, " n"], available: Int64[np.ndarray, " n"]
) -> Int64[np.ndarray, " n"]:
    """Divide `total` in proportion to `weights`, by largest remainders, giving none more than is available.

    Everyone who has any available gets at least one while `total` reaches round (the heaviest first where it does not);
    what one cannot take goes to the others in proportion. The sum is `total`, or all there is if that is less.
    """
    target, least = min(total, int(available.sum())), np.zeros_like(available)
    heaviest = np.argsort(-weights, kind="stable")
    least[heaviest[available[heaviest] > 0][:target]] = 1
    weights, low, high = np.maximum(weights, 1e-9), 0.0, 1e18
    for _ in range(200):  # bisect for the scale at which the shares, held within their bounds, add up
        scale = (low + high) / 2
        low, high = (scale, high) if np.clip(scale * weights, least, available).sum() < target else (low, scale)
    exact = np.clip(high * weights, least, available)
    given = np.floor(exact + 1e-9).astype(np.int64)
    first = np.argsort(-np.where(given < available, exact - given, -1.0), kind="stable")
    given[first[: target - int(given.sum())]] += 1
    return given


def draw(clips: pl.DataFrame, split: SplitConfig) -> pl.DataFrame:
    """Draw val and tune pairs, as ves.corpus.splits.assign says, from columns clip_id, group, language, reportable.

    Returns clip_id, group, language, pair ("val" or "tune"); no group comes twice. Val and tune are drawn together,
    then parted by chance within each language, so that they are alike. Raises ValueError with the number there could
    be if that is too few.
    """
    candidates = _candidates(clips, split.seed)
    languages = clips.group_by("language").len("clips").sort("language")
    total, drawn = split.val + split.tune, candidates.clear()
    while len(drawn) < total and not candidates.is_empty():  # again, for groups that several languages had counted on
        there = _counts(languages, candidates)
        quota = shares(total - len(drawn), languages["clips"].to_numpy().astype(np.float64), there)
        for place in np.argsort(there, kind="stable").tolist():  # the language with the fewest images chooses first
            mine = candidates.filter(pl.col("language") == languages["language"][place]).head(int(quota[place]))
            drawn = pl.concat([drawn, mine])
            candidates = candidates.join(mine, on="group", how="anti", maintain_order="left")
    if len(drawn) < total:
        raise ValueError(
            f"split: val {split.val} and tune {split.tune} pairs are asked for, but only {len(drawn)} can be found, "
            "one per image that a held-out speaker speaks about; lower split.val or split.tune, or raise "
            "split.held_out_speakers"
        )
    counts = _counts(languages, drawn)
    spare = np.maximum(counts - 1, 0)  # each language leaves one to val, where val has room for them all
    available = spare if spare.sum() >= split.tune else counts
    tune = languages.select("language", pl.Series("tune", shares(split.tune, counts.astype(np.float64), available)))
    drawn = drawn.with_columns(pl.Series("chance", chance_of_hashes(drawn["clip_id"], split.seed, "tune or val")))
    drawn = drawn.join(tune, on="language", how="left", maintain_order="left")
    tuned = pl.col("chance").rank("ordinal").over("language") <= pl.col("tune")
    pair = pl.when(tuned).then(pl.lit("tune")).otherwise(pl.lit("val"))
    return drawn.select("clip_id", "group", "language", pair=pair)


def _candidates(clips: pl.DataFrame, seed: int) -> pl.DataFrame:
    """One reportable clip for each group and language that has any, in the order in which they are drawn: by an
    exponential clock that runs at the weight of the group (Efraimidis and Spirakis 2006)."""
    lost = clips.group_by("group").agg((~pl.col("reportable")).sum().alias("lost"))
    clips = clips.filter("reportable").select("clip_id", "group", "language")
    clips = clips.with_columns(pl.Series("chance", chance_of_hashes(clips["clip_id"], seed, "clip")))
    clips = clips.sort("chance", "clip_id").unique(["group", "language"], keep="first", maintain_order=True)
    clips = clips.join(lost, on="group", how="left", maintain_order="left")
    chance = pl.Series("chance", chance_of_hashes(clips["clip_id"], seed, "image"))
    clips = clips.with_columns(clock=-chance.log() * (1 + clips["lost"]))
    return clips.sort("clock", "clip_id").select("clip_id", "group", "language")


def _counts(languages: pl.DataFrame, clips: pl.DataFrame) -> Int64[np.ndarray, " languages"]:
    counts = languages.join(clips.group_by("language").len("n"), on="language", how="left", maintain_order="left")
    return counts["n"].fill_null(0).to_numpy().astype(np.int64)
