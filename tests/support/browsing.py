"""A real browser for tests, and what a page may not do in it: complain, or ask for anything that is not on the disk."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (on Debian: apt install chromium)")
ABORTED = "net::ERR_ABORTED"  # what the page itself gave up: a sound that another one follows
READ_BACK = "willReadFrequently"  # a hint to those who read pixels, as tests do
LOCAL = ("file:", "data:", "blob:")


@contextmanager
def launched() -> Iterator:
    """Chromium, in which sound may play without anybody's click."""
    from playwright.sync_api import sync_playwright

    arguments = ["--autoplay-policy=no-user-gesture-required", *["--no-sandbox"] * (os.geteuid() == 0)]
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=arguments, timeout=1000 * PATIENCE)
        yield chromium
        chromium.close()


@contextmanager
def opened(chromium, file: Path, *, fragment: str = "", warnings: bool = True, **options) -> Iterator:
    """A page from disk; whatever it complains of (warnings too, or not), or asks of another place, fails the test."""
    page, faults = chromium.new_page(**options), []
    page.context.set_default_timeout(1000 * PATIENCE)  # of windows that it opens, too
    kinds = ("error", "warning") if warnings else ("error",)
    page.on("console", lambda said: faults.append(said.text) if said.type in kinds else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda sent: None if sent.url.startswith(LOCAL) else faults.append(sent.url))
    page.on("requestfailed", lambda sent: faults.append(f"{sent.url}: {sent.failure}"))
    page.goto(f"{file.as_uri()}#{fragment}" if fragment else file.as_uri())
    yield page
    page.close()
    faults = [fault for fault in faults if READ_BACK not in fault and not fault.endswith(ABORTED)]
    assert not faults, "\n".join(faults)
