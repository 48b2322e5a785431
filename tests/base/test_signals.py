"""Signals: the first is a request, the same again the end; handlers go back to what they were."""

import os
import signal
import subprocess
import sys
import threading

from ves.base.signals import on_signals

CODE = """
import os, signal, sys, time
from ves.base.signals import on_signals
with on_signals() as stop:
    for name in sys.argv[1:]:
        os.kill(os.getpid(), signal.Signals[name])
    print(stop.asked, flush=True)
"""


def outcome(*names: str) -> tuple[str, int]:
    done = subprocess.run([sys.executable, "-c", CODE, *names], stdout=subprocess.PIPE, text=True)
    return done.stdout.strip(), done.returncode


def test_one_signal_asks_and_the_same_again_ends():
    assert outcome() == ("None", 0)
    assert outcome("SIGTERM") == ("SIGTERM", 0)
    assert outcome("SIGINT", "SIGTERM") == ("SIGINT", 0), "a terminal sends one, the death of the workflow the other"
    assert outcome("SIGTERM", "SIGTERM") == ("", -signal.SIGTERM)
    assert outcome("SIGINT", "SIGTERM", "SIGINT") == ("", -signal.SIGINT)


def test_handlers_go_back():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with on_signals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.asked == "SIGINT"
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_the_death_of_the_parent_after_a_request_is_no_second_one(monkeypatch):
    with on_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        monkeypatch.setattr(os, "getppid", lambda: -1)  # nobody's, also where pytest is a child of process 1
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked == "SIGTERM"


def test_another_thread_is_never_asked():
    asked = []

    def inner() -> None:
        with on_signals() as stop:
            asked.append(stop.asked)

    thread = threading.Thread(target=inner)
    thread.start()
    thread.join()
    assert asked == [None]
