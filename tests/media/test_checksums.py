"""A PNG whose pixels do not fit their checksums is refused; what else of it is damaged does not matter."""

import pytest

from tests.support.odd_pictures import encode, pixels, scene
from ves.media.checksums import check
from ves.media.images import BadImage, decode


def test_pixels_match_their_checksums():
    content = encode(scene(1))
    check("PNG", content)
    first, last = pixels(content)
    for place in (first + 2, (first + last) // 2, last - 1, last + 1):  # the last is the checksum's own
        damaged = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        with pytest.raises(ValueError, match="does not match its checksum"):
            check("PNG", damaged)
        check("BMP", damaged)
        with pytest.raises(BadImage, match="truncated"):
            decode(damaged)


def test_a_file_without_its_last_chunk_has_all_pixels():
    content = encode(scene(1))
    assert decode(content[:-12]).tobytes() == scene(1).tobytes()
    with pytest.raises(BadImage, match="truncated"):
        decode(content[:-60])
