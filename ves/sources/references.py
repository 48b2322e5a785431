"""Which picture a clip's reference names: corpora spell the two differently."""

import polars as pl

_PATH = pl.col("name").str.normalize("NFC").str.strip_chars_start("/")  # macOS takes letters and accents apart (NFD)
_FILE = _PATH.str.split("/").list.last()
LEVELS = {  # what of a name is compared, strictest first; below the first, in one form of Unicode
    "name as written": pl.col("name"),
    "path without leading slash": _PATH,
    "file name": _FILE,
    "file name without case": _FILE.str.to_lowercase(),
    "file name without case and extension": _FILE.str.replace(r"\.[^.]*$", "").str.to_lowercase(),
}


def resolve(references: pl.Series, pictures: pl.DataFrame) -> pl.DataFrame:
    """The image that each distinct reference names: columns image_reference, level, image_id, reason, detail.

    `pictures` has one row per picture file: source_path, image_id (its content), reason (null unless refused). Names
    are compared at each of LEVELS in turn; the first level at which any picture bears the name decides. There, pictures
    of different content make it `image_ambiguous`, none but refused ones `image_refused`; a name that nothing bears at
    any level is `image_missing`. `image_id` is null unless exactly one content is meant.
    """
    named = pictures.select("image_id", "reason", name="source_path").filter(pl.col("name").str.len_chars() > 0)
    good = pl.col("image_id").filter(pl.col("reason").is_null())
    remaining, found = pl.DataFrame({"name": references.drop_nulls().unique().sort().cast(pl.String)}), []
    for level, key in LEVELS.items():
        bearers = named.group_by(key.alias("key")).agg(
            contents=good.n_unique(), image_id=good.first(), cause=pl.col("reason").drop_nulls().first()
        )
        matched = remaining.with_columns(key=key).join(bearers, on="key", how="inner", maintain_order="left")
        found.append(matched.with_columns(level=pl.lit(level)))
        remaining = remaining.join(matched, on="name", how="anti", maintain_order="left")
    contents, level = pl.col("contents"), pl.col("level")
    many = pl.format("{} is the {} of {} different pictures", "name", "level", "contents")
    return pl.concat([*found, remaining], how="diagonal").select(
        "level",
        image_reference="name",
        image_id=pl.when(contents == 1).then("image_id"),
        reason=pl.when(level.is_null()).then(pl.lit("image_missing"))
        .when(contents == 0).then(pl.lit("image_refused")).when(contents > 1).then(pl.lit("image_ambiguous")),
        detail=pl.when(level.is_null()).then(pl.format("no picture is called {}", "name"))
        .when(contents == 0).then(pl.format("{}: {}", "name", "cause")).when(contents > 1).then(many),
    )  # fmt: skip
