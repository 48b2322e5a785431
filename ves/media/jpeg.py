"""JPEG: a picture from its bytes, if all of it is there. Pillow does not pass on what libjpeg only warns of.

libjpeg fills in what is lost: where a marker comes too early, it makes the rest of the scan grey, and it skips data
that are left over after the last block. Python learns of neither. But libjpeg can be fed piece by piece, and how much
of a piece it takes says what it is waiting for. When it needs bits, it takes nothing until it has some seven bytes;
when it waits for a marker, it takes every byte at once. So each piece between two markers is fed without the marker
after it, and then two more bytes as a trial. That costs no second decoding.

The structure (ITU-T T.81, annex B) is checked too: there must be as many restart intervals as the blocks need, in their
order, and the scans must bring every coefficient of every component to its full precision.

What goes unnoticed: fewer than about eight bytes lost at the end of a piece, and damage after which the decoder happens
to fall into step again at the right block, as it may within the last scans of a progressive picture.
"""

import re
import struct
from dataclasses import dataclass, field
from math import ceil

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

MARKER = re.compile(rb"\xff[\x01-\xfe]")  # in a scan, FF 00 is a byte of data, and FF FF is filling
RESTARTS = range(0xD0, 0xD8)
ALONE = (0x01, *RESTARTS, 0xD8)  # markers without a length
START, END, RESTART_INTERVAL = 0xDA, 0xD9, 0xDD
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
PROGRESSIVE, ARITHMETIC = frozenset({0xC2, 0xC6, 0xCA, 0xCE}), frozenset({0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
ALL = 16  # bits of a coefficient that are missing before the first scan
ONES = b"\xff\x00" * 8  # fed after a piece, since libjpeg looks so far ahead: bits of 1 only, which are no code
SECTOR, GROUP = 512, 8192  # bytes: the least that a disk loses, and see _probes
STANDARD = bytes([0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125, 1])  # head of T.81's table K.3.3.2 (luminance)
ZEROS = bytes(64)  # in that table, coefficients of -1 in block after block: no picture has them
SPARE = 10  # bytes: so many left over are not an encoder's slip


@dataclass(frozen=True)
class _Scan:
    """A scan: its pieces, one for each restart interval, as places in the file, and the restart markers between."""

    blocks: int  # minimum coded units
    interval: int  # blocks between two restart markers; 0: no markers
    pieces: list[tuple[int, int]] = field(default_factory=list)
    restarts: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Frame:
    kind: int
    width: int
    height: int
    sampling: dict[int, tuple[int, int]]  # by component: factors across and down
    missing: dict[int, bytearray]  # by component: how many bits of its 64 coefficients no scan has brought yet


def load(picture: JpegImageFile, encoded: bytes) -> None:
    """Decode the file `encoded` into `picture`, as Pillow opened it.

    Raises OSError, EOFError or ValueError that says what is lost of the picture; NotImplementedError for arithmetic
    coding, where libjpeg does not notice that something is missing.
    """
    try:
        scans, end = _structure(encoded)
    except EOFError:
        picture.load()  # as a rule it raises too, and says how many bytes it could not use
        raise
    first, last = scans[0].pieces[0][0], scans[-1].pieces[-1][1]
    if len(scans) == 1 and STANDARD in encoded[:first] and encoded.find(ZEROS, first, last) >= 0:
        raise ValueError("zeros stand in place of the picture's data")
    decoder = _Decoder(picture)
    pieces = [piece for scan in scans for piece in _probes(scan)]
    start = 0
    for number, (first, stop) in enumerate(pieces, 1):
        where = f"piece {number} of {len(pieces)} between markers"
        if spare := _quiet(encoded, first, stop - SPARE):
            decoder.feed(encoded[start:spare])
            if decoder.waits_for_marker(encoded[spare : spare + 2]):
                raise ValueError(f"{where} has bytes left over: the data before them are damaged or foreign")
            start = spare + 2
        decoder.feed(encoded[start:stop] + ONES)
        if not decoder.waits_for_marker(b"  "):
            raise ValueError(f"{where} ends too early: some of the picture's data are missing")
        start = stop
    decoder.feed(encoded[start:end])
    if not decoder.finished:
        raise ValueError("the picture does not end where its file does")
    picture.tile = []


class _Decoder:
    """libjpeg, as Pillow drives it, and the bytes that it has not taken yet."""

    def __init__(self, picture: JpegImageFile) -> None:
        ((name, extents, _, arguments),) = picture.tile
        picture.load_prepare()
        self.decoder = Image._getdecoder(picture.mode, name, arguments, picture.decoderconfig)
        self.decoder.setimage(picture.im, extents)
        self.pending, self.finished = b"", False

    def feed(self, content: bytes) -> None:
        """Hand on bytes. Raises OSError where libjpeg reports an error."""
        if self.finished:
            return
        self.pending += content
        taken, fault = self.decoder.decode(self.pending)
        if taken < 0 and fault < 0:
            raise OSError(f"broken data stream (code {fault} of Pillow's decoder)")
        self.finished = taken < 0
        self.pending = self.pending[max(taken, 0) :]

    def waits_for_marker(self, two: bytes) -> bool:
        """Feed two bytes, neither of them FF: does libjpeg take each at once? Then it needs no more of this piece."""
        self.feed(two[:1])
        waits = self.finished or not self.pending
        self.feed(two[1:])
        return waits and (self.finished or not self.pending)


def _probes(scan: _Scan) -> list[tuple[int, int]]:
    """The pieces whose end is checked: all of them, or if their mean is shorter than a sector, one in GROUP bytes.

    To check each short one would cost as much as the decoding, and a lost sector takes a restart marker with it there.
    """
    pieces = scan.pieces
    if pieces[-1][1] - pieces[0][0] >= SECTOR * len(pieces):
        return pieces
    probes, latest = [], pieces[0][0]
    for first, stop in pieces:
        if stop - first >= SECTOR or stop - latest >= GROUP:
            probes.append((first, stop))
            latest = stop
    return [*probes, pieces[-1]] if probes[-1:] != pieces[-1:] else probes


def _quiet(encoded: bytes, first: int, latest: int) -> int | None:
    """The last place up to `latest` where neither of two bytes is FF or follows one; None if the piece is too short."""
    for place in range(latest, first, -1):
        if 0xFF not in encoded[place - 1 : place + 2]:
            return place
    return None


def _structure(encoded: bytes) -> tuple[list[_Scan], int]:
    """The scans, after a check of them, and the place behind the end marker.

    Raises ValueError that says what is damaged or missing, EOFError if there is no end marker.
    """
    frame, scans, interval, place = None, [], 0, 2
    while match := MARKER.search(encoded, place):
        marker, place = encoded[match.end() - 1], match.end()
        if marker == END and frame and scans:
            _check_scans(frame, scans)
            return scans, place
        if marker in ALONE:
            continue
        try:
            (length,) = struct.unpack_from(">H", encoded, place)
            if marker in FRAMES:
                frame = _frame(marker, encoded, place + 2)
            elif marker == RESTART_INTERVAL:
                (interval,) = struct.unpack_from(">H", encoded, place + 2)
            elif marker == START and frame:
                scan = _scan(frame, interval, encoded[place + 2 : place + length])
                scans.append(scan)
                place = _pieces(scan, encoded, place + length)
                continue
        except (struct.error, IndexError, KeyError) as error:
            raise ValueError(f"a segment is cut off or damaged (marker FF {marker:02X})") from error
        place += length
    raise EOFError("no end marker: the file is cut off")


def _frame(kind: int, encoded: bytes, place: int) -> _Frame:
    if kind in ARITHMETIC:
        # images.py refuses it as `unsupported`: libjpeg decodes it, but does not notice lost parts
        raise NotImplementedError("JPEG with arithmetic coding")
    height, width, count = struct.unpack_from(">xHHB", encoded, place)
    sampling = {}
    for component in range(place + 6, place + 6 + 3 * count, 3):
        sampling[encoded[component]] = encoded[component + 1] >> 4, encoded[component + 1] & 15
    if not (width and height and all(h and v for h, v in sampling.values())):
        raise ValueError(f"a frame of {width} x {height} pixels")
    return _Frame(kind, width, height, sampling, {component: bytearray([ALL]) * 64 for component in sampling})


def _scan(frame: _Frame, interval: int, header: bytes) -> _Scan:
    """A scan without its pieces; what it brings is no longer missing in the frame."""
    count = header[0]
    components = [header[1 + 2 * number] for number in range(count)]
    first, last, precision = header[1 + 2 * count : 4 + 2 * count]
    if frame.kind not in PROGRESSIVE:
        first, last, precision = 0, 63, 0
    elif not first <= last <= 63:
        raise ValueError(f"a scan of coefficients {first} to {last}")
    for component in components:
        frame.missing[component][first : last + 1] = bytes([precision & 15]) * (last + 1 - first)
    across, down = (max(one[axis] for one in frame.sampling.values()) for axis in (0, 1))
    if count > 1:
        return _Scan(ceil(frame.width / (8 * across)) * ceil(frame.height / (8 * down)), interval)
    h, v = frame.sampling[components[0]]
    width, height = ceil(frame.width * h / across), ceil(frame.height * v / down)
    return _Scan(ceil(width / 8) * ceil(height / 8), interval)


def _pieces(scan: _Scan, encoded: bytes, place: int) -> int:
    """Fill in the pieces of a scan that begins at `place`, and return the place of the marker after it."""
    while match := MARKER.search(encoded, place):
        stop, marker = match.start(), encoded[match.end() - 1]
        while stop > place and encoded[stop - 1] == 0xFF:  # filling
            stop -= 1
        if marker not in RESTARTS:
            if stop > place or not scan.pieces:  # some encoders write a restart marker after the last interval too
                scan.pieces.append((place, stop))
            return match.start()
        scan.pieces.append((place, stop))
        scan.restarts.append(marker)
        place = match.end()
    raise EOFError("no end marker: the file is cut off")


def _check_scans(frame: _Frame, scans: list[_Scan]) -> None:
    """Raise ValueError unless the scans bring all of the frame, and have the restart intervals they need, in order."""
    for number, scan in enumerate(scans, 1):
        expected = ceil(scan.blocks / scan.interval) if scan.interval else 1
        if len(scan.pieces) != expected:
            raise ValueError(f"scan {number} has {len(scan.pieces)} restart intervals, its blocks need {expected}")
        for place, marker in enumerate(scan.restarts):
            if marker != RESTARTS[place % 8]:
                raise ValueError(f"scan {number}: restart marker {place + 1} is out of order: intervals are lost")
    if lost := sum(any(bits) for bits in frame.missing.values()):
        raise ValueError(f"{lost} of {len(frame.sampling)} components lack scans: the file was cut off and closed")
