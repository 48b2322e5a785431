"""The block `corpus` of the configuration: where pairs come from, and the settings of each kind of source.

Here a kind has a class, which says what its settings may be, and a field in SourceBlocks. Nothing here or elsewhere in
ves asks which kind a corpus is of: all else is looked up by the name of the kind (ves.sources.kinds).
"""

import re
import shlex
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from ves.config.fields import Fraction, Name, Positive, PositiveFloat, Seed, StrictModel, one_of

MOST_DISTRICTS = 12  # Spoken Scenes has no more names (ves.sources.scenes.assignment.DISTRICTS)
MOST_THINGS = 8  # in one picture; more would hide each other
MOST_KINDS = 60  # as many as ves/sources/scenes/things has; a test holds them equal
LEAST_SIDE = 64  # pixels; objects are specks on a smaller picture
LEAST_SEGMENT_S = 0.2  # twice what a segment may lack (ves.media.film_tracks.SLACK_S); less holds no event
LEAST_FRAME_SIDE = 16  # pixels; ingest refuses smaller pictures
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
)  # the word tables in ves/sources/scenes/lexicon; a test holds them equal


def _spoken(languages: list[str]) -> list[str]:
    """Validator: each language has a word table, and none is listed twice."""
    for language in languages:
        if language not in LANGUAGES:
            raise ValueError(f"{language!r} is not one of {', '.join(LANGUAGES)}")
        if languages.count(language) > 1:
            raise ValueError(f"{language!r} is listed twice")
    return languages


class SourceBlock(StrictModel):
    """The settings of one kind of source."""

    truth: ClassVar[str | None] = None  # what its data/<corpus>/truth says, if every corpus of this kind has one
    counted: ClassVar[str] = "images"  # the setting that bounds how many pairs can be held out

    def sizes(self) -> dict[str, int]:
        """How many `images` and `clips` the corpus will have at most; empty where these settings do not say it."""
        return {}


class ScenesConfig(SourceBlock):
    """Spoken Scenes, the synthesised corpus (ves.sources.scenes)."""

    truth: ClassVar[str | None] = "word timings and object masks"

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
    kinds: Annotated[int, Field(gt=0, le=MOST_KINDS)]
    repainted: Fraction
    colour_said: Fraction
    snr_db: tuple[float, float] = Field(strict=False)
    code_switching: Fraction
    image_side: tuple[Annotated[int, Field(ge=LEAST_SIDE)], Positive] = Field(strict=False)

    def sizes(self) -> dict[str, int]:
        """Both are settings."""
        return {"images": self.images, "clips": self.clips}

    @model_validator(mode="after")
    def _ranges(self) -> "ScenesConfig":
        for key in ("objects", "mentions", "snr_db", "image_side"):
            low, high = getattr(self, key)
            if low > high:
                raise ValueError(f"{key}: [{low}, {high}] is not an ascending range")
        if self.mentions[0] > self.objects[0]:
            raise ValueError(f"mentions: at least {self.mentions[0]}, but some pictures show {self.objects[0]} objects")
        if self.kinds < self.objects[1]:
            raise ValueError(f"kinds: {self.kinds}, but a picture may show {self.objects[1]} objects, each of another")
        return self

    @model_validator(mode="after")
    def _shares_out(self) -> "ScenesConfig":
        """Enough speakers, clips and images, so that nothing that needs one goes without
        (ves.sources.scenes.assignment)."""
        if self.speakers < (least := max(len(self.languages), self.audio_shards)):
            raise ValueError(
                f"speakers: {self.speakers}, but each language and audio shard needs one, so {least} or more"
            )
        if self.clips < self.images:
            raise ValueError(f"clips: {self.clips}, but each of the {self.images} images needs a clip")
        if self.images < 2 * self.audio_shards:
            raise ValueError(f"images: {self.images}, but each of the {self.audio_shards} audio shards needs two")
        return self


class SoundingConfig(SourceBlock):
    """Sounding Scenes, the synthesised corpus of films in which things sound (ves.sources.sounding)."""

    truth: ClassVar[str | None] = "word timings, sounds and object masks"
    counted: ClassVar[str] = "films"

    seed: Seed
    films: Annotated[int, Field(ge=2)]
    seconds: PositiveFloat
    segment_s: PositiveFloat | None
    shards: Positive
    languages: Annotated[list[str], Field(min_length=1), AfterValidator(_spoken)]
    speakers: Positive
    objects: tuple[Positive, Annotated[int, Field(gt=0, le=MOST_THINGS)]] = Field(strict=False)
    mentions: tuple[Positive, Positive] = Field(strict=False)
    kinds: Annotated[int, Field(gt=0, le=MOST_KINDS)]
    repainted: Fraction
    colour_said: Fraction
    snr_db: tuple[float, float] = Field(strict=False)
    code_switching: Fraction
    image_side: tuple[Annotated[int, Field(ge=LEAST_SIDE)], Positive] = Field(strict=False)

    def sizes(self) -> dict[str, int]:
        """A film is held out as a whole, and no more than one pair of it is reported."""
        return {"images": self.films, "clips": self.films * round(self.seconds / (self.segment_s or self.seconds))}

    def scenery(self) -> ScenesConfig:
        """The settings of Spoken Scenes by which these films are drawn and described: a picture and a clip a film.

        Raises ValueError as these do.
        """
        shared = {
            name: getattr(self, name) for name in ScenesConfig.model_fields if name in SoundingConfig.model_fields
        }
        counts = {"images": self.films, "clips": self.films, "audio_shards": 1, "image_shards": 1, "broken": 0.0}
        return ScenesConfig(**shared | counts)

    @model_validator(mode="after")
    def _whole_seconds(self) -> "SoundingConfig":
        if self.seconds != round(self.seconds):
            raise ValueError(f"seconds: {self.seconds:g} is no whole number; there is one picture a second")
        length = self.segment_s or self.seconds
        if length != round(length) or self.seconds % length:
            raise ValueError(f"segment_s: {length:g} is no whole number of seconds that divides {self.seconds:g}")
        if self.shards > self.films:
            raise ValueError(f"shards: {self.shards}, but there are {self.films} films")
        self.scenery()
        return self


Names = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]


class SurveyConfig(SourceBlock):
    """Which files of Project Vaani on the hub are surveyed (ves.sources.vaani.listing).

    These keys alone make up data/<corpus>/survey_config.json: the survey does not depend on the choice of clips.
    """

    repository: Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")]
    revision: str | None  # a full commit id; null: not chosen yet
    audio: Names  # path patterns
    images: Names
    shards_per_district: Positive | None

    @model_validator(mode="after")
    def _pinned(self) -> "SurveyConfig":
        if self.revision is not None and not re.fullmatch(r"[0-9a-f]{40}", self.revision):
            command = f"hf datasets info {self.repository} --revision {shlex.quote(self.revision)} --expand sha"
            raise ValueError(
                f"revision: {self.revision!r} is not a full commit id; a branch or tag moves, and a short id may "
                f"become ambiguous; `{command}` prints the commit that it means now: write its 40 digits"
            )
        return self

    def commit(self) -> str:
        """The commit that everything is read from. Raises ValueError if it is not set; the message has the command to
        find it."""
        if self.revision is None:
            raise ValueError(
                f"corpus.vaani.revision is not set; `hf datasets info {self.repository} --expand sha` prints the "
                "repository's current commit: write its 40 digits there, so that every later run reads the same files"
            )
        return self.revision


class VaaniConfig(SurveyConfig):
    """Project Vaani: which files are surveyed, and which of their clips are used (ves.sources.vaani.choice)."""

    truth: ClassVar[str | None] = "transcripts"

    languages: Names | None  # labels in the spelling that corpus.labels gives them; null: all
    districts: Names | None
    clips: Positive | None  # in total, shared out over the languages in proportion
    clips_per_language: Positive | None
    clips_per_image: Positive | None
    seed: Seed  # of the hash that decides which clips a cap removes

    def capped(self) -> bool:
        """Whether any cap limits the number of clips."""
        return (self.clips, self.clips_per_language, self.clips_per_image) != (None, None, None)


class PairsConfig(SourceBlock):
    """Your own recordings and pictures in a folder, paired by tables (ves.sources.pairs.packing)."""

    folder: str
    tables: Annotated[list[str], Field(min_length=1)]  # file names or patterns, in the folder
    language: Annotated[str, Field(min_length=1)]  # of rows that do not name one
    rows_per_shard: Positive


class VideoConfig(SourceBlock):
    """A folder of films, which are cut into segments (ves.sources.video)."""

    folder: str
    layout: Literal["films", "segments"]  # each file is a film, or one segment {recording}_{number} of a film
    segment_s: Annotated[float, Field(ge=LEAST_SEGMENT_S)]
    at: Literal["all", "middle"]  # which segments of a film are taken
    frames: Positive  # pictures of each segment, at evenly spaced times
    side: Annotated[int, Field(ge=LEAST_FRAME_SIDE)] | None  # pixels of the longer side at most; null: as stored
    table: str | None  # a CSV of labels, splits and starts (ves.sources.video.table)
    language: Annotated[str, Field(min_length=1)]  # of every clip
    files_per_shard: Positive


class SourceBlocks(StrictModel):
    """The kinds of sources, each with its settings. A new kind is a field here and an entry of the same name in
    ves.sources.kinds.SOURCES."""

    scenes: ScenesConfig | None = None
    sounding: SoundingConfig | None = None
    pairs: PairsConfig | None = None
    video: VideoConfig | None = None
    vaani: VaaniConfig | None = None


KINDS = tuple(SourceBlocks.model_fields)


class CorpusSettings(SourceBlocks):
    """data/<corpus>/corpus.json: where pairs come from, and how they are ingested."""

    name: Name
    kind: Annotated[str, one_of(KINDS)]
    keep_seconds: PositiveFloat | None
    labels: str | None  # a YAML table of spellings (ves.sources.labels)
    max_refused: Fraction  # of the rows of a shard; its ingest fails if more are refused

    @model_validator(mode="after")
    def _has_its_block(self) -> "CorpusSettings":
        if getattr(self, self.kind) is None:
            raise ValueError(f"{self.kind}: this block is required, because kind is {self.kind!r}")
        return self

    @property
    def block(self) -> SourceBlock:
        """The settings of the corpus's own kind."""
        return getattr(self, self.kind)


class CorpusConfig(CorpusSettings):
    """The whole block. All files of a corpus are under data/<name>/ and results/<name>/."""

    keep_source: bool  # whether raw shards are kept after their ingest; no result depends on it
