"""How many rows are broken, and how."""

from collections import Counter

from tests.support.small_scenes import settings
from ves.sources.scenes.assignment import Plan
from ves.sources.scenes.faults import (
    CLIP_FAULTS,
    CLIP_ODDITIES,
    IMAGE_FAULTS,
    IMAGE_ODDITIES,
    clip_defects,
    image_defects,
)

DEFAULT_SIZE = settings(images=4300, clips=15000, speakers=240, audio_shards=8, broken=0.02)


def test_about_the_asked_share_of_clips_is_unusable():
    clips, images, plan = clip_defects(DEFAULT_SIZE), image_defects(DEFAULT_SIZE), Plan(DEFAULT_SIZE)
    own = {clip for clip, kind in clips.items() if kind in CLIP_FAULTS}
    by_picture = {clip for clip, image in enumerate(plan.image) if images.get(int(image)) in IMAGE_FAULTS}
    assert 0.016 < len(own | by_picture) / DEFAULT_SIZE.clips < 0.024


def test_every_kind_occurs_and_faults_equally_often():
    clips, images = Counter(clip_defects(DEFAULT_SIZE).values()), Counter(image_defects(DEFAULT_SIZE).values())
    assert set(clips) == {*CLIP_FAULTS, *CLIP_ODDITIES}
    assert set(images) == {*IMAGE_FAULTS, *IMAGE_ODDITIES}
    faults = [clips[kind] for kind in CLIP_FAULTS]
    assert (sum(faults), min(faults), max(faults)) == (180, 20, 20)


def test_nothing_is_broken_when_nothing_is_asked_for():
    sound = settings(broken=0.0)
    assert clip_defects(sound) == image_defects(sound) == {}


def test_what_is_broken_depends_on_the_seed():
    assert clip_defects(DEFAULT_SIZE) == clip_defects(DEFAULT_SIZE)
    assert set(clip_defects(DEFAULT_SIZE)) != set(clip_defects(settings(images=4300, clips=15000, seed=9, broken=0.02)))
