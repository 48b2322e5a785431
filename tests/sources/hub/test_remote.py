"""Reading pieces of a file of the hub: the right bytes, few requests, and never a whole shard by accident."""

import io
import os
import random
from collections.abc import Iterator

import huggingface_hub
import numpy as np
import polars as pl
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.loopback import COMMIT, REPOSITORY, Hub, serve
from ves.sources.hub import remote, retry
from ves.sources.hub.errors import HubError
from ves.sources.hub.remote import HOLE, TAIL, RemoteFile

PATH = "audio/Goa/North Goa/train-00000-of-00001.parquet"
CONTENT = random.Random(1).randbytes(1_000_003)
TOKEN = "hf_not_a_real_token"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.001)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serve({PATH: CONTENT}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        yield server
    huggingface_hub.close_session()


def remote_file(hub: Hub, **changes: str) -> RemoteFile:
    call = {"repository": REPOSITORY, "revision": COMMIT, "path": PATH} | changes
    return RemoteFile(**call, size=len(hub.files[PATH]))


def piece(file: RemoteFile, start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length) or b""


def ranges(hub: Hub) -> list[str | None]:
    return [request.range for request in hub.downloads()]


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    reads=st.lists(st.tuples(st.integers(0, 1_100_000), st.integers(0, 300_000)), min_size=1, max_size=6),
    plan=st.booleans(),
)
def test_any_reads_are_those_of_the_file(hub: Hub, reads: list[tuple[int, int]], plan: bool):
    file, local = remote_file(hub), io.BytesIO(CONTENT)
    if plan:
        file.expect((start, min(start + length, len(CONTENT))) for start, length in reads if start < len(CONTENT))
    for start, length in reads:
        local.seek(start)
        assert piece(file, start, length) == local.read(length)
        assert file.tell() == local.tell()


def test_it_seeks_as_files_do(hub: Hub):
    file = remote_file(hub)
    assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
    assert file.seek(-3, os.SEEK_END) == len(CONTENT) - 3
    assert file.read() == CONTENT[-3:]
    assert file.seek(-1, os.SEEK_CUR) == len(CONTENT) - 1
    with pytest.raises(ValueError, match="seek to byte -1"):
        file.seek(-1)


def test_the_tail_costs_one_request_and_is_kept(hub: Hub):
    file = remote_file(hub)
    piece(file, len(CONTENT) - 8, 8)
    piece(file, len(CONTENT) - 20_000, 19_000)
    assert ranges(hub) == [f"bytes={len(CONTENT) - TAIL}-{len(CONTENT) - 1}"]
    assert (file.requests, file.fetched) == (1, TAIL)


def test_what_is_expected_comes_in_few_requests(hub: Hub):
    file = remote_file(hub)
    near, far = [(100, 200), (200, 5_000), (5_000 + HOLE, 80_000)], (80_001 + HOLE, 150_000)
    file.expect([far, *near])
    for start, end in (*near, far):
        assert piece(file, start, end - start) == CONTENT[start:end]
    assert ranges(hub) == ["bytes=100-79999", f"bytes={far[0]}-149999"]


def test_a_long_read_comes_in_pieces(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote, "PIECE", 300_000)
    hub.faults, hub.cut = ["", "reset"], 100_000
    file = remote_file(hub)
    assert piece(file, 7, 700_000) == CONTENT[7:700_007]
    assert ranges(hub) == ["bytes=7-300006", *["bytes=300007-600006"] * 2, "bytes=600007-700006"]
    assert file.requests == 4


@pytest.mark.parametrize("fault", ["429", "503", "reset", "end", "shifted", "untold"])
def test_trouble_and_wrong_answers_are_asked_again(hub: Hub, fault: str):
    hub.faults, hub.cut = [fault] * 2, 10
    file = remote_file(hub)
    assert piece(file, 5, 1_000) == CONTENT[5:1_005]
    assert file.requests == 3


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("no ranges", "sends the whole file instead of a part"),
        ("grown", f"{len(CONTENT) + 1} bytes at the hub, {len(CONTENT)} in the listing"),
        ("401", "token is invalid or expired"),
    ],
)
def test_what_cannot_be_read_in_pieces_is_named_at_once(hub: Hub, fault: str, words: str):
    hub.faults = [fault]
    with pytest.raises(HubError, match=words) as raised:
        piece(remote_file(hub), 5, 1_000)
    assert PATH in str(raised.value)
    assert len(hub.requests) == 1


def test_a_server_that_ignores_ranges_does_not_send_the_file(hub: Hub):
    hub.files[PATH] = bytes(400_000_000)
    hub.faults = ["no ranges"]
    file = remote_file(hub)
    with pytest.raises(HubError, match="in pieces"):
        piece(file, 0, 100)
    assert file.fetched == 0
    assert hub.sent == 0  # its attempt to send it all has failed, or still waits to be read


def test_asking_has_an_end(hub: Hub):
    hub.faults = ["shifted"] * retry.ATTEMPTS
    with pytest.raises(HubError, match="received bytes 6 to 1006 instead of 5 to 1005"):
        piece(remote_file(hub), 5, 1_000)
    assert len(hub.requests) == retry.ATTEMPTS


def test_a_missing_file_is_named(hub: Hub):
    with pytest.raises(HubError, match="none.parquet: no such file in commit"):
        piece(remote_file(hub, path="none.parquet"), 5, 1_000)


def test_a_redirected_address_is_asked_again_without_the_token_until_it_expires(hub: Hub):
    with serve(dict(hub.files)) as elsewhere:
        hub.faults, hub.elsewhere = ["redirect"] * 2, elsewhere.address.replace("127.0.0.1", "localhost")
        elsewhere.faults = ["", "", "403"]
        file = remote_file(hub)
        for start in (0, 200_000, 400_000, 600_000):
            assert piece(file, start, 1_000) == CONTENT[start : start + 1_000]
        huggingface_hub.close_session()
    assert ranges(hub) == ["bytes=0-999", "bytes=400000-400999"]
    assert len(elsewhere.downloads()) == 5  # of which the third was refused
    assert {request.headers["Authorization"] for request in elsewhere.downloads()} == {None}
    assert {request.headers["Authorization"] for request in hub.downloads()} == {f"Bearer {TOKEN}"}


def test_pyarrow_reads_a_footer_in_one_request_and_a_column_without_its_neighbour(hub: Hub):
    rows = 400
    audio = [np.random.default_rng(row).bytes(5_000) for row in range(rows)]
    frame = pl.DataFrame({"language": ["Hindi", "Tulu"] * (rows // 2), "audio": audio, "duration": [1.5] * rows})
    frame.write_parquet(buffer := io.BytesIO(), row_group_size=100)
    hub.files[PATH] = buffer.getvalue()
    file = remote_file(hub)
    parquet = pyarrow.parquet.ParquetFile(file, pre_buffer=False)
    assert parquet.metadata.num_rows == rows
    assert file.requests == 1
    table = parquet.read(["language", "duration"], use_threads=False)
    assert table["language"].to_pylist() == frame["language"].to_list()
    assert hub.sent < 100_000 < len(buffer.getvalue())


def test_pyarrow_passes_the_hub_s_error_on(hub: Hub):
    hub.faults = ["no ranges"]
    with pytest.raises(HubError, match="in pieces"):
        pyarrow.parquet.ParquetFile(remote_file(hub))
