"""Who says what: spreads over languages, speakers, districts and pictures, at the size of the default corpus."""

import numpy as np
import pytest

from tests.support.small_scenes import settings
from ves.base.apportion import quotas
from ves.config.corpus import MOST_DISTRICTS
from ves.sources.scenes.assignment import DISTRICTS, MOST_CLIPS, Plan
from ves.sources.scenes.lexicon import codes

LANGUAGES = codes()[:12]
SETTINGS = settings(images=4300, clips=15000, languages=LANGUAGES, speakers=240, audio_shards=8, image_shards=4)
PLAN = Plan(SETTINGS)


def test_quotas_by_hand():
    assert quotas(10, np.array([3.0, 1.0, 1.0]), 0).tolist() == [6, 2, 2]
    assert quotas(10, np.array([3.0, 1.0, 0.0]), 1).tolist() == [6, 3, 1]
    assert quotas(4, np.array([1.0, 1.0, 1.0]), 1).sum() == 4


def test_languages_fall_off_like_one_over_the_fourth_root_of_rank():
    counts = np.bincount(PLAN.language)
    shares = np.arange(1, 13) ** -0.25
    expected = SETTINGS.clips * shares / shares.sum()
    assert counts.sum() == SETTINGS.clips
    assert np.all(np.abs(counts / expected - 1) < 0.2), counts / expected
    assert counts.min() > 700
    assert counts[:6].tolist() == sorted(counts[:6], reverse=True)


def test_a_speaker_recurs_in_one_place_and_in_one_or_two_languages():
    pairs = np.unique(np.stack([PLAN.speaker, PLAN.language]), axis=1)
    per_speaker = np.bincount(pairs[0], minlength=240)
    assert np.bincount(PLAN.speaker, minlength=240).min() >= 20
    assert set(per_speaker) == {1, 2}
    assert 0.05 < (per_speaker == 2).mean() < 0.25
    assert np.array_equal(PLAN.district, PLAN.district_of_speaker[PLAN.speaker])


def test_each_picture_is_spoken_about_one_to_seven_times():
    counts = np.bincount(PLAN.image, minlength=SETTINGS.images)
    assert counts.min() >= 1
    assert counts.mean() == pytest.approx(15000 / 4300)
    assert (counts <= MOST_CLIPS).mean() > 0.99
    assert set(range(1, 8)) <= set(counts)


def test_a_specific_picture_is_only_spoken_about_in_its_district():
    owner = PLAN.district_of_image[PLAN.image]
    assert np.all((owner == -1) | (owner == PLAN.district))
    assert 0.3 < (owner >= 0).mean() < 0.5
    for language in range(12):  # and of the pool, everyone speaks
        assert len(set(PLAN.district[(PLAN.language == language) & (owner == -1)])) >= 4


def test_the_old_district_is_small():
    counts = np.bincount(PLAN.district)
    assert counts[-1] < 0.25 * counts[:-1].min()
    assert [PLAN.old_schema(district) for district in range(8)] == [False] * 7 + [True]
    assert not Plan(settings(audio_shards=3)).old_schema(2)


def test_shards_share_out_all_clips_and_pictures():
    assert sorted(np.concatenate([PLAN.clips_of(district) for district in range(8)])) == list(range(15000))
    assert np.concatenate([PLAN.images_of(shard) for shard in range(4)]).tolist() == list(range(4300))


def test_names_are_vaanis_and_unique():
    names = {PLAN.image_name(image) for image in range(4300)}
    assert len(names) == 4300
    assert PLAN.image_path(0) == "Images/IISc_VaaniProject_GENERIC_0001.jpg"
    assert PLAN.image_name(4299) == f"{DISTRICTS[7][1]}-SPECIFIC_04300"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"audio_shards": 13}, "audio_shards\n  Input should be less than or equal to 12"),
        ({"speakers": 3}, "speakers: 3, but each language and audio shard needs one, so 4 or more"),
        ({"clips": 30}, "clips: 30, but each of the 40 images needs a clip"),
        ({"images": 7}, "images: 7, but each of the 4 audio shards needs two"),
        ({"objects": (2, 9)}, "objects.1\n  Input should be less than or equal to 8"),
        ({"kinds": 5}, "kinds: 5, but a picture may show 6 objects, each of another"),
        ({"kinds": 61}, "kinds\n  Input should be less than or equal to 60"),
        ({"image_side": (20, 30)}, "image_side.0\n  Input should be greater than or equal to 64"),
    ],
)
def test_settings_that_do_not_go_together_are_errors_that_name_them(changes, message):
    with pytest.raises(ValueError, match=message):
        settings(**changes)


def test_there_are_names_for_as_many_districts_as_may_be_asked_for():
    assert len(DISTRICTS) == MOST_DISTRICTS
