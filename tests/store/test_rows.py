"""Rows across shards: in any order, by threads, through the map or not; what is damaged is named."""

import mmap
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ves.store import rows as shard_rows
from ves.store import shard_map
from ves.store.rows import ShardRows
from ves.store.shard import Shard
from ves.store.shard_format import CRC, HEADER, BadStore, header, with_crc, write_shard

SLOTS, SIZE = 4, 96
HEAD = header(b"these")
ROWS = np.random.default_rng(0).integers(0, 256, (22, SIZE)).astype(np.uint8)  # six shards, the last of two rows


@pytest.fixture(params=["mapped", "asked at once", "every row asked for", "large rows", "no room for a map"])
def folder(request, tmp_path, monkeypatch):
    """Shards, read through the map or by system calls, a few rows at a time and with few files open."""
    if request.param == "no room for a map":
        monkeypatch.setattr(shard_map, "PAGE", 2**46)  # for six shards, more than there are addresses
    if request.param == "large rows":
        monkeypatch.setattr(shard_rows, "LARGE", SIZE - 1)
    if request.param != "asked at once":
        monkeypatch.setattr(shard_rows, "SMALL", -1)
    monkeypatch.setattr(shard_rows, "TRUSTED", 0 if request.param == "every row asked for" else 1000)
    monkeypatch.setattr(shard_rows, "GROUP", 3)
    monkeypatch.setattr(shard_rows, "PART", 1)
    monkeypatch.setattr(shard_rows, "OPEN_SHARDS", 2)
    for shard in range(6):
        write_shard(tmp_path / str(shard), ROWS[shard * SLOTS : (shard + 1) * SLOTS], SLOTS, HEAD)
    return tmp_path


def reader(folder, *, check=True) -> ShardRows:
    """One that has found its first row in the page cache, and trusts."""
    opened = ShardRows(lambda n: Shard(folder / str(n), n * SLOTS, SLOTS, SIZE, HEAD), 6, SLOTS, SIZE, check=check)
    np.testing.assert_array_equal(read(opened, [0]), ROWS[:1])
    return opened


def read(opened: ShardRows, rows) -> np.ndarray:
    out = np.empty((len(rows), SIZE), np.uint8)
    opened.read(np.array(rows, np.int64), out)
    return out


@pytest.mark.parametrize("check", [True, False])
def test_any_order_with_repeats(folder, check):
    opened = reader(folder, check=check)
    for rows in ([], [21], [0, 21, 4, 3, 4, 4, 12], list(range(22)), list(range(22)) * 3):
        np.testing.assert_array_equal(read(opened, rows), ROWS[rows])


@pytest.mark.parametrize("byte", [0, 5, SIZE - 1, SIZE, SIZE + 3])
def test_a_wrong_checksum_is_named_unless_it_is_not_asked_for(folder, byte):
    content = bytearray((folder / "2").read_bytes())
    content[HEADER + SIZE + 4 + byte] ^= 8  # of row 9, or of its checksum
    (folder / "2").write_bytes(content)
    for rows in ([21, 9, 0], [9], [*range(22)] * 3):
        with pytest.raises(BadStore, match="/2: row 9: wrong checksum"):
            read(reader(folder), rows)
    got = read(reader(folder, check=False), [21, 9, 0])
    assert (got != ROWS[[21, 9, 0]]).sum() == (byte < SIZE)


def test_two_wrong_rows_do_not_make_a_right_one(folder):
    """Each row's checksum counts, though they are computed over many rows at once."""
    content = bytearray((folder / "2").read_bytes())
    for row in (0, 1):  # the same bits in both rows, and in both checksums
        for byte in (3, SIZE + 1):
            content[HEADER + row * (SIZE + 4) + byte] ^= 64
    (folder / "2").write_bytes(content)
    with pytest.raises(BadStore, match="/2: row 8: wrong checksum"):
        read(reader(folder), [8, 9])
    with pytest.raises(BadStore, match="/2: row 9: wrong checksum"):
        read(reader(folder), [9, 9, 10])


@pytest.mark.parametrize("check", [True, False])
def test_rows_in_another_order_than_ours_are_found(folder, check):
    """As zarr writes them: the index says where they are."""
    content, pitch = bytearray((folder / "1").read_bytes()), SIZE + CRC
    first, second = (slice(HEADER + row * pitch, HEADER + (row + 1) * pitch) for row in (0, 1))
    content[first], content[second] = content[second], content[first]
    index = np.frombuffer(content[HEADER + SLOTS * pitch : -CRC], "<u8").reshape(SLOTS, 2)[[1, 0, 2, 3]]
    (folder / "1").write_bytes(content[: HEADER + SLOTS * pitch] + with_crc(index.tobytes()))
    rows = [0, 4, 5, 6, 21, 4]
    np.testing.assert_array_equal(read(reader(folder, check=check), rows), ROWS[rows])


@pytest.mark.parametrize("check", [True, False])
def test_a_file_cut_off_under_the_reader_is_an_error(folder, check):
    opened = reader(folder, check=check)
    read(opened, [4, 5, 6, 7])
    os.truncate(folder / "1", HEADER + 2 * (SIZE + 4) + 10)
    np.testing.assert_array_equal(read(opened, [4, 5]), ROWS[[4, 5]])
    with pytest.raises(BadStore, match="/1: row 6: the shard ends within it"):
        read(opened, [4, 6])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("back", [0, 1, 3, 4, 5, 4096, 12_000])
@pytest.mark.parametrize(("large", "small"), [(0, 0), (2**17, 0), (2**17, 2**22)])
def test_a_file_cut_off_behind_its_map_kills_nobody(tmp_path, monkeypatch, check, back, large, small):
    """Rows of three pages, cut `back` bytes before the end of row 1 and its checksum, in a child: by a signal it would
    end without a word."""
    monkeypatch.setattr(shard_rows, "LARGE", large)
    monkeypatch.setattr(shard_rows, "SMALL", small)
    rows = np.random.default_rng(1).integers(1, 256, (3, 3 * mmap.PAGESIZE)).astype(np.uint8)
    write_shard(tmp_path / "0", rows, 3, HEAD)
    opened = ShardRows(lambda n: Shard(tmp_path / str(n), 0, 3, rows.shape[1], HEAD), 1, 3, rows.shape[1], check=check)
    out = np.empty_like(rows)
    opened.read(np.arange(3), out)
    np.testing.assert_array_equal(out, rows)
    assert opened._shard(0)[1] == 3  # rows of it lie in the map
    if (child := os.fork()) == 0:
        os.truncate(tmp_path / "0", HEADER + 2 * (rows.shape[1] + 4) - back)
        raised = []
        for row in range(3):
            try:
                opened.read(np.array([row]), out[:1])
            except BadStore:
                raised.append(row)
        os._exit(sum(1 << row for row in raised))
    status = os.waitpid(child, 0)[1]
    assert os.WIFEXITED(status), f"killed by signal {os.WTERMSIG(status)}"
    assert os.WEXITSTATUS(status) == (0b100 if back == 0 else 0b110)


@pytest.mark.parametrize("check", [True, False])
def test_rows_and_shards_that_are_not_there(folder, check):
    with pytest.raises(BadStore, match="/5: row 22: the shard does not hold it"):
        read(reader(folder, check=check), [0, 22])
    (folder / "3").unlink()
    with pytest.raises(BadStore, match="/3: row 12: the shard of this row is missing"):
        read(reader(folder, check=check), [0, 13, 21])


@pytest.mark.parametrize("check", [True, False])
def test_what_is_not_in_the_page_cache_is_read_from_the_disk(folder, check, monkeypatch):
    """As a file system answers that cannot say what is cached."""
    real = os.preadv

    def unwilling(file, buffers, at, *flags):
        if flags:
            raise BlockingIOError
        return real(file, buffers, at)

    monkeypatch.setattr(os, "preadv", unwilling)
    np.testing.assert_array_equal(read(reader(folder, check=check), [9, 2, 21]), ROWS[[9, 2, 21]])


@pytest.mark.parametrize("refused", [[1, 9], [5], [21]])
def test_rows_that_the_page_cache_lacks_are_not_touched_through_the_map(folder, monkeypatch, refused):
    """Of a store that is partly there, in one read after another; and when all are there, all come through the map."""
    real, touched, missing = os.preadv, [], set(refused)
    ends = {HEADER + row % SLOTS * (SIZE + CRC) + SIZE: row % SLOTS for row in range(22)}

    def partly(file, buffers, at, *flags):
        number = int(os.path.basename(os.readlink(f"/proc/self/fd/{file}"))) if at in ends else 0
        if flags and number * SLOTS + ends[at] in missing:
            raise BlockingIOError
        return real(file, buffers, at, *flags)

    monkeypatch.setattr(os, "preadv", partly)
    for name in ("copy", "rows"):
        found = getattr(shard_map.ShardMap, name)
        monkeypatch.setattr(
            shard_map.ShardMap, name, lambda self, rows, *a, found=found: touched.extend(rows) or found(self, rows, *a)
        )
    opened = reader(folder)
    opened._trusted, some = 0, np.random.default_rng(1).permutation(22).tolist()
    for _ in range(3):
        np.testing.assert_array_equal(read(opened, some), ROWS[some])
    assert not missing & {int(row) for row in touched}
    if opened._opened(0)[1]:
        missing.clear()
        touched.clear()
        read(opened, some)
        assert sorted(int(row) for row in touched) == sorted(some)


def test_a_disk_that_fails_is_named_with_the_shard(folder, monkeypatch):
    opened = reader(folder)
    read(opened, [4])

    def failing(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", failing)
    with pytest.raises(BadStore, match=r"/1: row 5: cannot be read \(Input/output error\)"):
        read(opened, [5, 6])


def test_few_files_stay_open(folder):
    opened, before = reader(folder), len(os.listdir("/proc/self/fd"))
    read(opened, list(range(22)))
    assert len(os.listdir("/proc/self/fd")) <= before + 2


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_threads_and_forks_share_a_reader(folder, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)))  # so that there are threads on any machine
    opened = reader(folder)

    def right(seed: int) -> bool:
        rows = np.random.default_rng(seed).integers(0, 22, 40)
        return np.array_equal(read(opened, rows), ROWS[rows])

    assert right(0)  # the threads of this process are there
    children = []
    for seed in range(3):
        if (child := os.fork()) == 0:
            os._exit(0 if all(right(seed * 10 + n) for n in range(10)) else 1)
        children.append(child)
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(right, range(50)))
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 3
