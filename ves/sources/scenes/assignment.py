"""Who speaks about which picture. The whole corpus is decided at once, cheaply, so that any shard can be made alone.

Names are like Vaani's: every district speaks about a national pool of GENERIC pictures, and each also has SPECIFIC
pictures of its own.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ves.base.apportion import quotas
from ves.config.corpus import ScenesConfig
from ves.sources.scenes.streams import generator

DISTRICTS = (  # state, district, first pincode
    ("WestBengal", "Darjeeling", 734101),
    ("Karnataka", "DakshinKannada", 575001),
    ("Bihar", "EastChamparan", 845401),
    ("AndhraPradesh", "Anantpur", 515001),
    ("Uttarakhand", "Uttarkashi", 249193),
    ("Maharashtra", "Sindhudurg", 416812),
    ("Rajasthan", "Nagaur", 341001),
    ("Goa", "NorthSouthGoa", 403001),
    ("UttarPradesh", "Etah", 207001),
    ("Chhattisgarh", "Bastar", 494001),
    ("Jharkhand", "Sahebganj", 816109),
    ("Telangana", "Karimnagar", 505001),
)
OLD_DISTRICT = 0.15  # relative size of the last of four or more districts, which has an older schema
SPECIFIC = 0.4  # share of the pictures that belong to a district
SECOND_LANGUAGE = 0.15  # share of speakers
SECOND_SHARE = 0.3  # of the clips of such a speaker
MOST_CLIPS = 7  # of one picture; the average is about half
RANK_POWER = 0.25  # the language of rank r has a share of 1 / r^this: the rarest of twelve has 6.5 % of the clips


def _share_out(rng: np.random.Generator, total: int, weights: np.ndarray) -> np.ndarray:
    """`total` indices in random order, each in proportion to its weight."""
    return rng.permutation(np.repeat(np.arange(len(weights)), quotas(total, weights, 0)))


def _slots(rng: np.random.Generator, images: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Each image as often as wanted: first each once, so that a cut at the end omits none, then in random order."""
    return np.concatenate([images, rng.permutation(np.repeat(images, wanted - 1))])


@dataclass(frozen=True)
class Plan:
    """All choices that link pictures, speakers and clips; indices count from 0. Arrays are made on first use."""

    settings: ScenesConfig

    def _language_shares(self) -> np.ndarray:
        """The relative number of clips, and of speakers, of each language."""
        return np.arange(1, len(self.settings.languages) + 1) ** -RANK_POWER

    def _weights(self) -> np.ndarray:
        """The relative number of speakers of each district."""
        weights = np.ones(self.settings.audio_shards)
        weights[-1] = OLD_DISTRICT if self.old_schema(len(weights) - 1) else 1
        return weights

    def old_schema(self, district: int) -> bool:
        """Whether this district has the older schema, without columns for duration and speaker."""
        return self.settings.audio_shards >= 4 and district == self.settings.audio_shards - 1

    @cached_property
    def district_of_speaker(self) -> np.ndarray:
        s = self.settings
        counts = quotas(s.speakers, self._weights(), 1)
        return generator(s.seed, "speaker district").permutation(np.repeat(np.arange(s.audio_shards), counts))

    @cached_property
    def language_of_speaker(self) -> np.ndarray:
        """Indices into settings.languages."""
        shares = self._language_shares()
        return np.repeat(np.arange(len(shares)), quotas(self.settings.speakers, shares, 1))

    @cached_property
    def second_language(self) -> np.ndarray:
        """The other language of each speaker who has one, else the first."""
        s = self.settings
        rng = generator(s.seed, "second language")
        shares = self._language_shares()
        other = rng.choice(len(s.languages), size=s.speakers, p=shares / shares.sum())
        return np.where(rng.random(s.speakers) < SECOND_LANGUAGE, other, self.language_of_speaker)

    @cached_property
    def speaker(self) -> np.ndarray:
        """The speaker of each clip. Some speak more than others, and everyone speaks."""
        s = self.settings
        rng = generator(s.seed, "speaker of clip")
        shares = self._language_shares()
        talk = rng.uniform(0.5, 1.5, s.speakers)
        for language in range(len(s.languages)):
            own = self.language_of_speaker == language
            talk[own] *= shares[language] / talk[own].sum()
        return _share_out(rng, s.clips, talk)

    @cached_property
    def language(self) -> np.ndarray:
        """Language of each clip."""
        second = generator(self.settings.seed, "language of clip").random(self.settings.clips) < SECOND_SHARE
        return np.where(second, self.second_language[self.speaker], self.language_of_speaker[self.speaker])

    @cached_property
    def district(self) -> np.ndarray:
        """The district of each clip, which is its audio shard."""
        return self.district_of_speaker[self.speaker]

    @cached_property
    def district_of_image(self) -> np.ndarray:
        """The district of each SPECIFIC picture, -1 for a GENERIC one. SPECIFIC pictures come last."""
        s = self.settings
        specific = int(SPECIFIC * s.images) if s.audio_shards > 1 else 0
        owners = np.sort(np.repeat(np.arange(s.audio_shards), quotas(specific, self._weights(), 0)))
        return np.concatenate([np.full(s.images - specific, -1), owners])

    @cached_property
    def image(self) -> np.ndarray:
        """The picture of each clip. Each picture has at least one, most have a few (1 + binomial, up to MOST_CLIPS).

        SPECIFIC pictures take their clips from their own district; GENERIC ones share the remaining clips.
        """
        s = self.settings
        rng = generator(s.seed, "image of clip")
        mean = s.clips / s.images
        most = max(MOST_CLIPS, round(2 * mean))
        wanted = 1 + rng.binomial(most - 1, (mean - 1) / (most - 1), s.images)
        images = np.full(s.clips, -1)
        for district in range(s.audio_shards):
            own = np.flatnonzero(self.district_of_image == district)
            clips = rng.permutation(np.flatnonzero(self.district == district))
            slots = _slots(rng, own, wanted[own])[: len(clips)]
            images[clips[: len(slots)]] = slots
        rest, generic = np.flatnonzero(images < 0), np.flatnonzero(self.district_of_image < 0)
        slots = _slots(rng, generic, wanted[generic])
        more = rng.permutation(np.resize(generic, max(0, len(rest) - len(slots))))
        images[rng.permutation(rest)] = np.concatenate([slots, more])[: len(rest)]
        return images

    def image_name(self, image: int) -> str:
        """The picture's name in the corpus, such as `GENERIC_0012` or `Darjeeling-SPECIFIC_00003`."""
        district = int(self.district_of_image[image])
        return f"GENERIC_{image + 1:04d}" if district < 0 else f"{DISTRICTS[district][1]}-SPECIFIC_{image + 1:05d}"

    def image_path(self, image: int) -> str:
        """`image.path` of the picture in its shard."""
        return f"Images/IISc_VaaniProject_{self.image_name(image)}.jpg"

    def clips_of(self, district: int) -> np.ndarray:
        """Clip numbers of one audio shard, in order."""
        return np.flatnonzero(self.district == district)

    def images_of(self, shard: int) -> np.ndarray:
        """Picture numbers of one image shard, in order."""
        return np.array_split(np.arange(self.settings.images), self.settings.image_shards)[shard]
