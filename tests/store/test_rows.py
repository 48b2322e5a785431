"""Rows across shards: in any order, by threads, from the page cache or the disk; what is damaged is named."""

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest

from ves.store import rows as shard_rows
from ves.store.rows import ShardRows
from ves.store.shard import Shard
from ves.store.shard_format import CRC, HEADER, BadStore, header, with_crc, write_shard

SLOTS, SIZE = 4, 96
HEAD = header(b"these")
ROWS = np.random.default_rng(0).integers(0, 256, (22, SIZE)).astype(np.uint8)  # six shards, the last of two rows


def without_page_cache(file, buffers, at, flags=0, *, preadv=os.preadv):
    """os.preadv of a file system that cannot say what is cached."""
    if flags & os.RWF_NOWAIT:
        raise BlockingIOError
    return preadv(file, buffers, at)


@pytest.fixture(params=["one thread", "several threads", "from the disk"])
def folder(request, tmp_path, monkeypatch):
    """Shards, of which few are open at a time, and how they are read."""
    if request.param == "several threads":
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)))  # so that there are some on any machine
        monkeypatch.setattr(shard_rows, "PART", 1)
    if request.param == "from the disk":
        monkeypatch.setattr(os, "preadv", without_page_cache)
    monkeypatch.setattr(shard_rows, "OPEN_SHARDS", 2)
    for shard in range(6):
        write_shard(tmp_path / str(shard), ROWS[shard * SLOTS : (shard + 1) * SLOTS], SLOTS, HEAD)
    return tmp_path


def reader(folder, *, check=True) -> ShardRows:
    return ShardRows(lambda n: Shard(folder / str(n), n * SLOTS, SLOTS, SIZE, HEAD), SLOTS, SIZE, check=check)


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
    """Each row's checksum counts."""
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


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("back", [0, 1, 3, 4, 5, 4096, 12_000])
def test_a_row_is_read_as_long_as_all_of_it_is_there(tmp_path, check, back):
    """Rows of three pages; the file ends `back` bytes before the end of row 1 and its checksum."""
    rows = np.random.default_rng(1).integers(1, 256, (3, 3 * 4096)).astype(np.uint8)
    write_shard(tmp_path / "0", rows, 3, HEAD)
    opened = ShardRows(lambda n: Shard(tmp_path / str(n), 0, 3, rows.shape[1], HEAD), 3, rows.shape[1], check=check)
    opened.read(np.arange(3), out := np.empty_like(rows))
    np.testing.assert_array_equal(out, rows)
    os.truncate(tmp_path / "0", HEADER + 2 * (rows.shape[1] + CRC) - back)
    opened.read(np.array([0]), out[:1])
    for row in (1, 2) if back else (2,):
        with pytest.raises(BadStore, match=f"/0: row {row}: the shard ends within it"):
            opened.read(np.array([row]), out[:1])


def test_a_file_cut_off_while_threads_read_it_is_an_error(folder):
    """Wherever a read is at that moment: each is right or raises, and the process lives."""
    opened, started = reader(folder), Event()

    def until_it_fails() -> str:
        while True:
            try:
                np.testing.assert_array_equal(read(opened, [4, 5, 6, 7] * 50), ROWS[[4, 5, 6, 7] * 50])
            except BadStore as error:
                return str(error)
            started.set()

    with ThreadPoolExecutor(2) as pool:
        failures = [pool.submit(until_it_fails) for _ in range(2)]
        assert started.wait(60)
        os.truncate(folder / "1", HEADER + 10)
        for failure in failures:
            assert "/1: row" in failure.result(60)


@pytest.mark.parametrize("check", [True, False])
def test_rows_and_shards_that_are_not_there(folder, check):
    with pytest.raises(BadStore, match="/5: row 22: the shard lacks it"):
        read(reader(folder, check=check), [0, 22])
    (folder / "3").unlink()
    with pytest.raises(BadStore, match="/3: row 12: the shard of this row is missing"):
        read(reader(folder, check=check), [0, 13, 21])


@pytest.mark.parametrize("refused", [[1, 9], [5], [21]])
def test_only_rows_that_the_page_cache_lacks_are_read_from_the_disk(folder, monkeypatch, refused):
    """And each of them once."""
    real, from_disk = os.preadv, []
    offsets = {HEADER + slot * (SIZE + CRC): slot for slot in range(SLOTS)}

    def partly(file, buffers, at, flags=0):
        row = int(os.path.basename(os.readlink(f"/proc/self/fd/{file}"))) * SLOTS + offsets[at]
        if flags & os.RWF_NOWAIT and row in refused:
            raise BlockingIOError
        if not flags:
            from_disk.append(row)
        return real(file, buffers, at)

    monkeypatch.setattr(os, "preadv", partly)
    rows = np.random.default_rng(1).permutation(22).tolist()
    np.testing.assert_array_equal(read(reader(folder), rows), ROWS[rows])
    assert sorted(from_disk) == refused


def test_a_short_answer_of_the_page_cache_is_read_again(folder, monkeypatch):
    """A read that does not wait may end where the page cache does."""
    real = os.preadv

    def half(file, buffers, at, flags=0):
        return real(file, [np.empty(SIZE // 2, np.uint8)] if flags & os.RWF_NOWAIT else buffers, at)

    monkeypatch.setattr(os, "preadv", half)
    np.testing.assert_array_equal(read(reader(folder), [9, 2, 21]), ROWS[[9, 2, 21]])


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
def test_threads_and_forks_share_a_reader(folder):
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
