"""Processes that are told to stop: not during an import, and at the latest after some seconds."""

import contextlib
import signal
import sys
import time

import pytest
from tiny import python

from pipeline.core import signals

IMPORTED = """
import signal, time
signal.raise_signal(signal.{name})
time.sleep(0.2)
done = True
"""
# Python prints and drops exceptions of callbacks such as this one.
LOST = """
import signal, time, weakref
from pipeline.core import signals

class Thing:
    pass

signals.GRACE = 1.0
with signals.stopping("told {}".format):
    thing = Thing()
    weakref.finalize(thing, signal.raise_signal, signal.SIGTERM)
    del thing
    time.sleep(60)
"""
HELD = """
import os, signal, time
from pipeline.core import signals

signals.GRACE = 0.2
with signals.stopping("told {}".format):
    try:
        with signals.held_back() as received:
            signal.raise_signal(signal.SIGTERM)
            time.sleep(2)
            print("saved", received)
    except signals.Stopped:
        print("stopped")
"""


@pytest.mark.parametrize(("name", "kind"), [("SIGTERM", signals.Stopped), ("SIGINT", KeyboardInterrupt)])
def test_a_signal_during_an_import_is_raised_after_it(tmp_path, monkeypatch, name, kind):
    (tmp_path / "interrupted_import.py").write_text(IMPORTED.format(name=name))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "interrupted_import", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(kind) as caught, signals.stopping(str):
        import interrupted_import

        time.sleep(10)
        raise AssertionError("the signal was lost")
    assert caught.type is kind and interrupted_import.done
    assert signal.getsignal(signal.SIGTERM) == before and signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_process_in_which_the_exception_was_lost_ends_all_the_same():
    began = time.monotonic()
    done = python("-c", LOST)
    assert done.returncode == 128 + signal.SIGTERM and done.stderr.endswith("told 15\n") and "Stopped" in done.stderr
    assert time.monotonic() - began < 30


def test_what_holds_signals_back_has_the_time_that_it_needs():
    done = python("-c", HELD)
    assert (done.returncode, done.stdout) == (0, "saved [15]\nstopped\n")


def test_a_process_stops_when_its_caller_has_ended():
    with pytest.raises(signals.Stopped), signals.stopping(str, orphaned=lambda: True):
        time.sleep(10)
        raise AssertionError("nothing was noticed")


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGTERM, signals.Stopped), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_whose_exception_got_lost_is_raised_again_before_others_are_deferred(number, kind):
    with pytest.raises(kind) as caught, signals.stopping(str):
        with contextlib.suppress(KeyboardInterrupt):  # as Python does in a callback
            signal.raise_signal(number)
        with signals.held_back():
            raise AssertionError("it goes on")
    assert caught.type is kind


def test_what_is_saved_because_of_a_signal_may_defer_others():
    saved = []
    with pytest.raises(signals.Stopped), signals.stopping(str):
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            with signals.held_back():
                saved.append(1)
            raise
    assert saved
