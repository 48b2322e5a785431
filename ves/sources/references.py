"""Which picture a clip refers to. References and names of pictures are not always spelt alike."""

import polars as pl

_PATH = pl.col("name").str.normalize("NFC").str.strip_chars_start("/")  # macOS takes letters and accents apart (NFD)
_FILE = _PATH.str.split("/").list.last()
LEVELS = {  # which part of a name is compared, strictest first; below the first, in one form of Unicode
    "name as written": pl.col("name"),
    "path without leading slash": _PATH,
    "file name": _FILE,
    "file name without case": _FILE.str.to_lowercase(),
    "file name without case and extension": _FILE.str.replace(r"\.[^.]*$", "").str.to_lowercase(),
}


def resolve(references: pl.Series, pictures: pl.DataFrame) -> pl.DataFrame:
    """The image that each distinct reference names: columns image_reference, level, image_id, reason, detail.

    `pictures` has one row for each picture file: source_path, image_id (its content), reason (null unless refused).
    Names are compared at each of LEVELS in turn, and the first level with any match decides. If the matching pictures
    differ in content, the reason is `image_ambiguous`; if all of them were refused, `image_refused`; without a match at
    any level, `image_missing`. `image_id` is null unless exactly one content matches.
    """
    named = pictures.select("image_id", "reason", name="source_path").filter(pl.col("name").str.len_chars() > 0)
    good = pl.col("image_id").filter(pl.col("reason").is_null())
    remaining, resolved = pl.DataFrame({"name": references.drop_nulls().unique().sort().cast(pl.String)}), []
    for level, key in LEVELS.items():
        candidates = named.group_by(key.alias("key")).agg(
            contents=good.n_unique(), image_id=good.first(), cause=pl.col("reason").drop_nulls().first()
        )
        matched = remaining.with_columns(key=key).join(candidates, on="key", how="inner", maintain_order="left")
        resolved.append(matched.with_columns(level=pl.lit(level)))
        remaining = remaining.join(matched, on="name", how="anti", maintain_order="left")
    contents, level = pl.col("contents"), pl.col("level")
    many = pl.format("{} is the {} of {} different pictures", "name", "level", "contents")
    return pl.concat([*resolved, remaining], how="diagonal").select(
        "level",
        image_reference="name",
        image_id=pl.when(contents == 1).then("image_id"),
        reason=pl.when(level.is_null()).then(pl.lit("image_missing"))
        .when(contents == 0).then(pl.lit("image_refused")).when(contents > 1).then(pl.lit("image_ambiguous")),
        detail=pl.when(level.is_null()).then(pl.format("no picture is called {}", "name"))
        .when(contents == 0).then(pl.format("{}: {}", "name", "cause")).when(contents > 1).then(many),
    )  # fmt: skip
