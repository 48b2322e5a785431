"""Which column of a source is which, however it is spelt."""

import pytest

from ves.sources.columns import find, media_column


def test_the_spellings_of_every_era_are_known():
    newest = ["audio", "language", "duration", "speakerID", "languagesKnown", "gender", "state", "district", "pincode"]
    newest += ["stay(years)", "isTranscriptionAvailable", "transcript", "referenceImage", "speakerImageHash"]
    assert find(newest, "s") == {
        "language": "language", "district": "district", "state": "state", "speaker": "speakerID",
        "image_reference": "referenceImage", "duration_s": "duration", "transcript": "transcript",
    }  # fmt: skip
    drifted = ["Language", "speaker_id", "Reference Image", "DURATION", "given-split", "refused", "refusedDetail"]
    assert find(drifted, "s") == {
        "language": "Language", "speaker": "speaker_id", "image_reference": "Reference Image", "duration_s": "DURATION",
        "given_split": "given-split", "refused": "refused", "refused_detail": "refusedDetail",
    }  # fmt: skip
    assert find(["imageFileName"], "s") == {"image_reference": "imageFileName"}
    assert find(["audio", "languages", "speakers"], "s") == {}


def test_two_columns_that_may_be_meant_are_refused():
    with pytest.raises(ValueError, match=r"^a\.parquet: columns speakerID and Speaker_ID may both be the speaker"):
        find(["speakerID", "x", "Speaker_ID"], "a.parquet")
    with pytest.raises(ValueError, match=r"^a\.parquet: columns image and Image may both be the image"):
        media_column(["image", "Image"], "image", "a.parquet")


def test_the_files_themselves_are_found_by_their_own_name_only():
    assert media_column(["x", "Audio"], "audio", "s") == "Audio"
    assert media_column(["image", "audio_path"], "audio", "s") is None
