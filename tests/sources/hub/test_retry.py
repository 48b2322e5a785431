"""Retries after errors of the hub."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import httpx2
import pytest
from huggingface_hub.errors import HfHubHTTPError

from ves.sources.hub import retry
from ves.sources.hub.retry import Retries, asked_wait, with_retries


def refusal(status: int, **headers: str) -> HfHubHTTPError:
    response = httpx2.Response(status, headers=headers, request=httpx2.Request("GET", "http://hub.example"))
    return HfHubHTTPError("refused", response=response)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made: list[float] = []
    monkeypatch.setattr(retry.time, "sleep", made.append)
    return made


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"Retry-After": "120"}, 120),
        ({"retry-after": " 5 "}, 5),
        ({"Retry-After": "86400"}, retry.LONGEST_WAIT),
        ({"Retry-After": "9" * 400}, retry.LONGEST_WAIT),
        ({"Retry-After": "-3"}, 0),
        ({"Retry-After": "soon"}, 0),
        ({"Retry-After": "٣"}, 0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"RateLimit": '"resolvers";r=0;t=55'}, 55),
        ({"RateLimit": '"resolvers";r=7;t=55'}, 0),
    ],
)
def test_what_the_hub_asks_for(headers: dict[str, str], seconds: float):
    assert asked_wait(httpx2.Headers([(k.encode(), v.encode()) for k, v in headers.items()])) == seconds


@pytest.mark.parametrize("zone", [" GMT", ""])
def test_a_date_is_a_time_to_wait(zone: str, monkeypatch: pytest.MonkeyPatch):
    now = datetime(2026, 11, 30, 23, 59, 1, tzinfo=UTC)
    monkeypatch.setattr(retry, "datetime", SimpleNamespace(now=lambda zone: now.astimezone(zone)))
    date = format_datetime(now + timedelta(seconds=90), usegmt=True).removesuffix(" GMT") + zone
    assert asked_wait(httpx2.Headers({"Retry-After": date})) == 90


def test_waits_double_and_differ_and_end(waits: list[float]):
    one = Retries("one")
    for _ in range(retry.ATTEMPTS - 1):
        one.wait(httpx2.ReadError("reset"))
    with pytest.raises(httpx2.ReadError):
        one.wait(httpx2.ReadError("reset"))
    assert len(waits) == retry.ATTEMPTS - 1
    for attempt, wait in enumerate(waits, start=1):
        assert retry.FIRST_WAIT * 2**attempt / 2 <= wait <= retry.FIRST_WAIT * 2**attempt
    assert len({wait / 2**attempt for attempt, wait in enumerate(waits)}) > 1  # by chance: no two jobs in step


def test_progress_starts_the_count_of_failures_over(waits: list[float]):
    one = Retries("one")
    for _ in range(3):
        for _ in range(retry.ATTEMPTS - 1):
            one.wait(httpx2.ReadError("reset"))
        one.wait(httpx2.ReadError("reset"), progress=True)
        assert waits[-1] <= retry.FIRST_WAIT


def test_a_wait_that_is_asked_for_is_never_cut_short(waits: list[float]):
    one = Retries("one")
    for _ in range(3):
        one.wait(refusal(429, **{"Retry-After": "30"}))
    assert min(waits) > 30


@pytest.mark.parametrize("error", [refusal(404), refusal(401), httpx2.UnsupportedProtocol("ftp")])
def test_what_waiting_cannot_mend_is_raised_at_once(waits: list[float], error: Exception):
    with pytest.raises(type(error)):
        with_retries("one", lambda: (_ for _ in ()).throw(error))
    assert not waits


def test_an_answer_after_trouble_is_the_answer(waits: list[float]):
    trouble: list[Exception] = [refusal(503), httpx2.ReadTimeout("slow")]

    def ask() -> str:
        if trouble:
            raise trouble.pop()
        return "answer"

    assert with_retries("one", ask) == "answer"
    assert len(waits) == 2
