"""The block `corpus` of the configuration: where pairs come from, and what a corpus of each kind is made of."""

import re
import shlex
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from ves.config.fields import Fraction, Name, Positive, PositiveFloat, Section, Seed, one_of

MOST_DISTRICTS = 12  # that Spoken Scenes has names for (ves.sources.scenes.assignment.DISTRICTS)
MOST_THINGS = 8  # in one picture; more hide one another
LEAST_SIDE = 64  # pixels; on less, things are specks
LANGUAGES = (
    "bn",
    "gu",
    "hi",
    "kn",
    "kok",
    "ml",
    "mr",
    "ne",
    "or",
    "pa",
    "ta",
    "te",
    "ur",
)  # of ves/sources/scenes/lexicon


def _spoken(languages: list[str]) -> list[str]:
    """Validator: each language has a word table, and none is named twice."""
    for language in languages:
        if language not in LANGUAGES:
            raise ValueError(f"{language!r} is not one of {', '.join(LANGUAGES)}")
        if languages.count(language) > 1:
            raise ValueError(f"{language!r} is named twice")
    return languages


class ScenesConfig(Section):
    """The embedded corpus, synthesised (ves.sources.scenes)."""

    seed: Seed
    images: Positive
    clips: Positive
    languages: Annotated[list[str], Field(min_length=1), AfterValidator(_spoken)]
    speakers: Positive
    audio_shards: Annotated[int, Field(gt=0, le=MOST_DISTRICTS)]
    image_shards: Positive
    broken: Fraction
    objects: tuple[Positive, Annotated[int, Field(gt=0, le=MOST_THINGS)]] = Field(strict=False)
    mentions: tuple[Positive, Positive] = Field(strict=False)
    snr_db: tuple[float, float] = Field(strict=False)
    code_switching: Fraction
    image_side: tuple[Annotated[int, Field(ge=LEAST_SIDE)], Positive] = Field(strict=False)

    @model_validator(mode="after")
    def _ranges(self) -> "ScenesConfig":
        for key in ("objects", "mentions", "snr_db", "image_side"):
            low, high = getattr(self, key)
            if low > high:
                raise ValueError(f"{key}: [{low}, {high}] is not an ascending range")
        if self.mentions[0] > self.objects[0]:
            raise ValueError(f"mentions: at least {self.mentions[0]}, but some pictures show {self.objects[0]} objects")
        return self

    @model_validator(mode="after")
    def _shares_out(self) -> "ScenesConfig":
        """There are enough of each thing to give every other its own (ves.sources.scenes.assignment)."""
        if self.speakers < (least := max(len(self.languages), self.audio_shards)):
            raise ValueError(
                f"speakers: {self.speakers}, but each language and audio shard needs one, so {least} or more"
            )
        if self.clips < self.images:
            raise ValueError(f"clips: {self.clips}, but each of the {self.images} images needs a clip")
        if self.images < 2 * self.audio_shards:
            raise ValueError(f"images: {self.images}, but each of the {self.audio_shards} audio shards needs two")
        return self


Names = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]


class SurveyConfig(Section):
    """Which files of Project Vaani on the hub are surveyed (ves.sources.vaani.listing).

    Alone it is data/<corpus>/survey_config.json: which of their clips are taken changes nothing in the survey.
    """

    repository: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")]
    revision: str | None  # a full commit; null: not chosen yet
    audio: Names  # patterns of paths
    images: Names
    shards_per_district: Positive | None

    @model_validator(mode="after")
    def _pinned(self) -> "SurveyConfig":
        if self.revision is not None and not re.fullmatch(r"[0-9a-f]{40}", self.revision):
            command = f"hf datasets info {self.repository} --revision {shlex.quote(self.revision)} --expand sha"
            raise ValueError(
                f"revision: {self.revision!r} is no full commit id; a branch or tag moves, and a short id may come to "
                f"mean two; `{command}` prints the commit that it is now at: write its 40 digits"
            )
        return self

    def commit(self) -> str:
        """The commit that everything is read at. Raises ValueError, with the command that names one, without one."""
        if self.revision is None:
            raise ValueError(
                f"corpus.vaani.revision is not set; `hf datasets info {self.repository} --expand sha` prints the "
                "present commit of the repository: write its 40 digits there, so that every later run reads the same "
                "files"
            )
        return self.revision


class VaaniConfig(SurveyConfig):
    """Project Vaani: the files that are surveyed, and which of their clips are taken (ves.sources.vaani.choice)."""

    languages: Names | None  # labels as the table of spellings leaves them; null: all
    districts: Names | None
    clips: Positive | None  # in total, in proportion over the languages
    clips_per_language: Positive | None
    clips_per_image: Positive | None
    seed: Seed  # of the chances by which clips fall to a cap

    def capped(self) -> bool:
        """Whether some clips may be left out for their number alone."""
        return (self.clips, self.clips_per_language, self.clips_per_image) != (None, None, None)


class PairsConfig(Section):
    """Own recordings and pictures in a folder, paired by tables (ves.sources.pairs.packing)."""

    folder: str
    tables: Annotated[list[str], Field(min_length=1)]  # names or patterns, in the folder
    language: Annotated[str, Field(min_length=1)]  # of rows that name none
    rows_per_shard: Positive


class SourceBlocks(Section):
    """The kinds of sources, each with its settings. What else a kind has is found by its name: its code by
    ves.sources.kinds.SOURCES, its rules in workflow/rules/<kind>.smk."""

    scenes: ScenesConfig | None = None
    pairs: PairsConfig | None = None
    vaani: VaaniConfig | None = None


KINDS = tuple(SourceBlocks.model_fields)


class CorpusSettings(SourceBlocks):
    """data/<corpus>/corpus.json: where pairs come from, and how they are ingested."""

    name: Name
    kind: Annotated[str, one_of(KINDS)]
    keep_seconds: PositiveFloat | None
    labels: str | None  # a YAML table of spellings (ves.sources.labels)
    max_refused: Fraction  # of the rows of a shard; if more are refused, its ingest fails

    @model_validator(mode="after")
    def _has_its_block(self) -> "CorpusSettings":
        if getattr(self, self.kind) is None:
            raise ValueError(f"{self.kind}: kind is {self.kind!r}, so this block is needed")
        return self


class CorpusConfig(CorpusSettings):
    """The block itself; everything of a corpus lies under data/<name>/ and results/<name>/."""

    keep_source: bool  # a raw shard that is kept after its ingest changes nothing else
