"""The process that colours, and how it ends."""

import os
import signal
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
from PIL import Image
from tiny import ROOT, until

from pipeline.core.errors import InputError
from pipeline.serve import worker as serve_worker
from pipeline.serve.jobs import Job
from pipeline.serve.worker import Worker


def test_a_killed_process_fails_one_photograph_and_is_replaced(tmp_path, monkeypatch):
    Image.effect_noise((4000, 4000), 80).save(tmp_path / "large.png", compress_level=1)
    (tmp_path / "bad").write_bytes(b"no photograph")
    names = ("before.jpg", "1", "1.jpg")
    with closing(Worker(tmp_path / "scratch", max_megapixels=20)) as worker:

        def kill(step):
            os.kill(worker._process.pid, signal.SIGKILL)

        job = Job(tmp_path / "large.png", *(tmp_path / name for name in names), tmp_path / "no-run", 1.0)
        with pytest.raises(InputError, match=r"\(SIGKILL\).* memory"):
            worker.colour(job, kill)
        with pytest.raises(InputError, match="not an image of a known format"):
            worker.colour(job._replace(source=tmp_path / "bad"), lambda step: None)
        with pytest.raises(InputError, match="expected the results of a run"):
            worker.load(tmp_path / "no-run")
        pid = worker._process.pid
        monkeypatch.setattr("pipeline.serve.worker.MOST_SECONDS", 0.05)
        with pytest.raises(InputError, match=r"more than .* minutes"):
            worker.colour(job, lambda step: None)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("most", "longest", "size"), [(50e6, 9999, (400, 300)), (30_000, 9999, (200, 150)), (50e6, 100, (100, 75))]
)
def test_a_photograph_is_shown_in_full_size_up_to_what_browsers_take(tmp_path, monkeypatch, most, longest, size):
    monkeypatch.setattr(serve_worker, "MOST_SHOWN", most)
    monkeypatch.setattr(serve_worker, "LONGEST_SHOWN", longest)
    picture = Image.effect_noise((400, 300), 80)
    picture.save(tmp_path / "a.png")
    assert serve_worker._write_jpeg(tmp_path / "a.png", tmp_path / "a.jpg", 1, whole=True) == (400, 300)
    shown = Image.open(tmp_path / "a.jpg")
    assert shown.size == size
    if size == picture.size:
        difference = np.asarray(shown.convert("L"), float) - np.asarray(picture, float)
        assert np.abs(difference).mean() < 5


@pytest.mark.slow
def test_a_temperature_reaches_the_network(made_run, tmp_path):
    worker = Worker(tmp_path / "scratch", max_megapixels=1, temperature=0.5)
    with closing(worker), pytest.raises(InputError, match=r"^--temperature: .*classes"):
        worker.load(made_run)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_photographs_are_deleted_when_the_server_is_killed_or_its_terminal_closed(tmp_path, number):
    scratch = tmp_path / "scratch"
    (scratch / "photograph").mkdir(parents=True)
    code = (
        "import signal, sys, time; from pathlib import Path; from pipeline.serve.worker import Worker\n"
        "if __name__ == '__main__':\n"
        "    signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # in case nohup started the tests
        "    worker = Worker(Path(sys.argv[1]), max_megapixels=1); worker._start()\n"
        "    print(flush=True); time.sleep(60)"
    )
    (tmp_path / "main.py").write_text(code)
    program = subprocess.Popen(
        [sys.executable, tmp_path / "main.py", scratch],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    program.stdout.readline()
    (os.killpg if number == signal.SIGHUP else os.kill)(program.pid, number)
    program.communicate()
    until(lambda: not scratch.exists())
