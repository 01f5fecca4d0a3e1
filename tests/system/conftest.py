"""Fixtures of the tests of bad input; other tests define their own `call`."""

import os
import signal

import pytest
from bad_input import MARK
from click.testing import CliRunner

from stages.__main__ import main


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEEPCOLOR_CONFIG", raising=False)

    def late(*_):
        raise RuntimeError("bad input made the stage wait")

    def call(arguments):
        before = signal.signal(signal.SIGALRM, late)
        signal.alarm(20)
        try:
            result = CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="stages")
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
        assert "Traceback" not in result.output and isinstance(result.exception, SystemExit | None), result.exception
        assert not os.path.lexists(MARK)
        return result

    return call
