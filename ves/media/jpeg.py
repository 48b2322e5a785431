"""JPEG: a picture out of its bytes, if all of it is there. Pillow keeps silent about what libjpeg only warns of.

libjpeg fills in what is lost: where a marker comes too early, the rest of the scan is grey; what is left over when the
last block is complete, it skips. Neither reaches Python. But libjpeg can be fed piece by piece, and how much of a piece
it takes says what it is waiting for: in need of bits it takes nothing until some seven bytes have come together, and
when it waits for a marker it takes every byte at once. So each piece between two markers is fed without the marker
behind it, and then two bytes are tried. That costs no second decoding.

The structure (ITU-T T.81, annex B) is checked beside it: as many restart intervals as there are blocks for, in their
order, and scans that bring every coefficient of every component to its full precision.

What stays unknown: fewer than about eight bytes lost at the end of a piece, and damage behind which the decoding falls
into step again at the right block, as it may within the last scans of a progressive picture.
"""

import re
import struct
from dataclasses import dataclass, field
from math import ceil

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

MARKER = re.compile(rb"\xff[\x01-\xfe]")  # in a scan, FF 00 is a byte of data, and FF FF fills
RESTARTS = range(0xD0, 0xD8)
ALONE = (0x01, *RESTARTS, 0xD8)  # markers without a length
START, END, RESTART_INTERVAL = 0xDA, 0xD9, 0xDD
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
PROGRESSIVE, ARITHMETIC = frozenset({0xC2, 0xC6, 0xCA, 0xCE}), frozenset({0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
ALL = 16  # bits of a coefficient: no scan has brought any
ONES = b"\xff\x00" * 8  # after a piece, for libjpeg looks ahead so far: of ones, which are no code
SECTOR, GROUP = 512, 8192  # bytes: of a disk, the least that is lost; and see _probed
STANDARD = bytes(
    [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125, 1]
)  # head of the table of T.81, K.3.3.2 (luminance)
ZEROS = bytes(64)  # in that table coefficients of -1, block after block: no picture has them
SPARE = 10  # bytes: where so many are left over, they are no slip of an encoder


@dataclass(frozen=True)
class _Scan:
    """Pieces between markers, as places in the file: one for each restart interval; restart markers between them."""

    blocks: int  # minimum coded units
    interval: int  # of them between restart markers, 0 without
    pieces: list[tuple[int, int]] = field(default_factory=list)
    restarts: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Frame:
    kind: int
    width: int
    height: int
    sampling: dict[int, tuple[int, int]]  # of each component, horizontally and vertically
    missing: dict[int, bytearray]  # of each component's 64 coefficients, the bits that no scan has brought


def load(picture: JpegImageFile, encoded: bytes) -> None:
    """Decode into `picture`, as Pillow opened it, what its file `encoded` holds.

    Raises OSError, EOFError or ValueError that says what of the picture is lost, NotImplementedError for arithmetic
    coding, of which libjpeg does not say whether it is whole.
    """
    try:
        scans, end = _structure(encoded)
    except EOFError:
        picture.load()  # it raises too, as a rule, and says how much it could not use
        raise
    first, last = scans[0].pieces[0][0], scans[-1].pieces[-1][1]
    if len(scans) == 1 and STANDARD in encoded[:first] and encoded.find(ZEROS, first, last) >= 0:
        raise ValueError("zeros stand in place of data of the picture")
    decoder = _Decoder(picture)
    pieces = [piece for scan in scans for piece in _probed(scan)]
    start = 0
    for number, (first, stop) in enumerate(pieces, 1):
        where = f"piece {number} of {len(pieces)} between markers"
        if spare := _quiet(encoded, first, stop - SPARE):
            decoder.feed(encoded[start:spare])
            if decoder.waits_for_marker(encoded[spare : spare + 2]):
                raise ValueError(f"{where} has bytes left over: what stands before them is damaged, or foreign")
            start = spare + 2
        decoder.feed(encoded[start:stop] + ONES)
        if not decoder.waits_for_marker(b"  "):
            raise ValueError(f"{where} ends too early: data of the picture are missing")
        start = stop
    decoder.feed(encoded[start:end])
    if not decoder.finished:
        raise ValueError("the picture does not end where its file does")
    picture.tile = []


class _Decoder:
    """libjpeg, as Pillow drives it, with the bytes that it has not taken yet."""

    def __init__(self, picture: JpegImageFile) -> None:
        ((name, extents, _, arguments),) = picture.tile
        picture.load_prepare()
        self.decoder = Image._getdecoder(picture.mode, name, arguments, picture.decoderconfig)
        self.decoder.setimage(picture.im, extents)
        self.pending, self.finished = b"", False

    def feed(self, content: bytes) -> None:
        """Raises OSError for what libjpeg calls an error."""
        if self.finished:
            return
        self.pending += content
        taken, fault = self.decoder.decode(self.pending)
        if taken < 0 and fault < 0:
            raise OSError(f"broken data stream (code {fault} of Pillow's decoder)")
        self.finished = taken < 0
        self.pending = self.pending[max(taken, 0) :]

    def waits_for_marker(self, two: bytes) -> bool:
        """Feed two bytes, neither of them FF; whether libjpeg takes each at once: it needs no more of this piece."""
        self.feed(two[:1])
        waits = self.finished or not self.pending
        self.feed(two[1:])
        return waits and (self.finished or not self.pending)


def _probed(scan: _Scan) -> list[tuple[int, int]]:
    """The pieces whose end is looked at: all, but of many that are shorter than a sector one in GROUP bytes.

    To look at each would cost as much as the decoding; and what loses a sector there loses a restart marker.
    """
    pieces = scan.pieces
    if pieces[-1][1] - pieces[0][0] >= SECTOR * len(pieces):
        return pieces
    found, probed = [], pieces[0][0]
    for first, stop in pieces:
        if stop - first >= SECTOR or stop - probed >= GROUP:
            found.append((first, stop))
            probed = stop
    return [*found, pieces[-1]] if found[-1:] != pieces[-1:] else found


def _quiet(encoded: bytes, first: int, latest: int) -> int | None:
    """The last place up to `latest` with two bytes that have nothing to do with FF; None if a piece is too short."""
    for place in range(latest, first, -1):
        if 0xFF not in encoded[place - 1 : place + 2]:
            return place
    return None


def _structure(encoded: bytes) -> tuple[list[_Scan], int]:
    """The scans, checked, and where the file ends as a picture.

    Raises ValueError that says what is damaged or missing, EOFError if there is no end.
    """
    frame, scans, interval, place = None, [], 0, 2
    while found := MARKER.search(encoded, place):
        marker, place = encoded[found.end() - 1], found.end()
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
        # a refusal, which images.py reports as `unsupported`: libjpeg decodes it, and does not notice lost parts
        raise NotImplementedError("JPEG with arithmetic coding")
    height, width, count = struct.unpack_from(">xHHB", encoded, place)
    sampling = {}
    for component in range(place + 6, place + 6 + 3 * count, 3):
        sampling[encoded[component]] = encoded[component + 1] >> 4, encoded[component + 1] & 15
    if not (width and height and all(h and v for h, v in sampling.values())):
        raise ValueError(f"a frame of {width} x {height} pixels")
    return _Frame(kind, width, height, sampling, {component: bytearray([ALL]) * 64 for component in sampling})


def _scan(frame: _Frame, interval: int, header: bytes) -> _Scan:
    """A scan without its pieces; what it brings is struck off what the frame is missing."""
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
    """Fill in the pieces of a scan that begins at `place`; where the marker behind it is."""
    while found := MARKER.search(encoded, place):
        stop, marker = found.start(), encoded[found.end() - 1]
        while stop > place and encoded[stop - 1] == 0xFF:  # fills
            stop -= 1
        if marker not in RESTARTS:
            if stop > place or not scan.pieces:  # some encoders write a restart marker behind the last interval too
                scan.pieces.append((place, stop))
            return found.start()
        scan.pieces.append((place, stop))
        scan.restarts.append(marker)
        place = found.end()
    raise EOFError("no end marker: the file is cut off")


def _check_scans(frame: _Frame, scans: list[_Scan]) -> None:
    """Raise ValueError unless scans bring all of the frame, and have the restart intervals they need, in order."""
    for number, scan in enumerate(scans, 1):
        expected = ceil(scan.blocks / scan.interval) if scan.interval else 1
        if len(scan.pieces) != expected:
            raise ValueError(f"scan {number} has {len(scan.pieces)} restart intervals, its blocks make {expected}")
        for place, marker in enumerate(scan.restarts):
            if marker != RESTARTS[place % 8]:
                raise ValueError(f"scan {number}: restart marker {place + 1} is out of order: intervals are lost")
    if lost := sum(any(bits) for bits in frame.missing.values()):
        raise ValueError(f"{lost} of {len(frame.sampling)} components lack scans: the file was cut off and closed")
