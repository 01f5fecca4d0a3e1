"""The page that colours photographs, on a port of its own, with a stand-in for the networks."""

import http.client
import json
import socket
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from tiny import until

pytest.importorskip("uvicorn", reason="the extra serve is not installed")

import uvicorn

from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.serve.app import make_app
from pipeline.serve.jobs import HINTS, Coloured, Place, Strip
from pipeline.serve.limits import Limits
from pipeline.serve.queue import Queue
from pipeline.serve.runs import ServedRun
from pipeline.serve.server import configured

PAGE, OTHER_PAGE = "0f0e0d0c-0b0a-0908-0706-050403020100", "11111111-2222-3333-4444-555555555555"
NASTY = '<img src=x onerror=alert(1)> "Oma\'s" Bild é 100%.jpg'
RUNS = [
    ServedRun("plain", Path("results/plain"), "ImageNet", False, ("RMSE 12.00, 15.00 for gray: better.",)),
    ServedRun("<b>wild</b>", Path("results/wild"), "RANDOM (seed 0; not ImageNet features)", True, ()),
]


class Painter:
    """Stands in for the worker: writes the request instead of colours, and can be paused."""

    def __init__(self):
        self.go = threading.Event()
        self.go.set()
        self.at_once, self.most_at_once, self.jobs = 0, 0, []

    def __call__(self, job, report):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        report("colouring")
        self.jobs.append(job)
        assert self.go.wait(10)
        self.at_once -= 1
        content = job.source.read_bytes()
        if content.startswith(b"bad"):
            raise InputError("not an image of a known format, or its header is broken")
        if content.startswith(b"worse"):
            raise ZeroDivisionError("division by zero")
        job.before.write_bytes(b"before")
        job.target.mkdir()
        (job.target / "photograph").write_bytes(b"%b by %b, %g" % (content, job.run.name.encode(), job.saturation))
        job.after.write_bytes(b"after")
        if job.hints:
            (job.target / HINTS).write_text(f"{job.name}: {len(job.hints)}")
        return Coloured("photograph", "", 3, 2)

    def show(self, whole):
        content = whole.source.read_bytes()
        self.jobs.append(whole)
        assert self.go.wait(10)
        files.write_bytes(whole.target, b"whole " + content)

    def preview(self, request):
        self.jobs.append(request)
        if isinstance(request, Place):
            return [f"#{request.x:03}{request.y:03}"]
        if isinstance(request, Strip):
            return b"strip with %d hints" % len(request.preview.hints)
        return b"%d hints, %g" % (len(request.hints), request.saturation)


class Site:
    """The server, and the requests that the page makes."""

    def __init__(self, folder, limits):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.painter = Painter()
        painter, folders = self.painter, [run.folder for run in RUNS]
        self.queue = Queue(folder, painter, painter.show, painter.preview, folders, limits)
        self.server = uvicorn.Server(configured(make_app(self.queue, RUNS)))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.server.run, args=([self.listener],), daemon=True)
        self.thread.start()

    def close(self):
        self.painter.go.set()
        self.server.should_exit = True
        self.thread.join(10)
        self.queue.close()

    def ask(self, method, path, body=None, headers=None):
        """Return status, headers and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, body, headers or {}, encode_chunked=hasattr(body, "__next__"))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.headers, content

    def add(self, content, name="a.jpg", run=0, saturation=1.0, page=PAGE):
        query = f"page={page}&name={quote(name)}&run={run}&saturation={saturation}"
        status, _, body = self.ask("POST", f"/photographs?{query}", content)
        return status, json.loads(body)

    def keys(self, *contents, page=PAGE):
        return [self.add(content, page=page)[1]["key"] for content in contents]

    def states(self, *keys, page=PAGE):
        """Return the states of photographs, of all of the page without keys."""
        states = json.loads(self.ask("GET", f"/photographs?page={page}")[2])["photographs"]
        return [state for key in keys for state in states if state["key"] == key] if keys else states

    def colour(self, key, run, saturation, hints=()):
        return self.hinted(key, "colour", json.dumps(hints), run, saturation)

    def hinted(self, key, what, hints, run=0, saturation=1.0, variant=0):
        query = f"run={run}&saturation={saturation}&variant={variant}"
        return self.ask("POST", f"/photographs/{key}/{what}?{query}", hints)

    def end(self, *keys):
        return self.ask("POST", f"/end?keys={','.join(keys)}")

    def settled(self, *keys):
        """Wait until the photographs are coloured or have failed, and return their states."""
        until(lambda: all(state["state"] in ("done", "failed") for state in self.states(*keys)))
        return self.states(*keys)

    def result(self, key):
        return self.ask("GET", f"/photographs/{key}/result/{self.states(key)[0]['result']['number']}")

    def files(self):
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file())


@contextmanager
def opened(folder, **limits):
    """Serve the page for the block."""
    site = Site(folder, Limits(**limits))
    try:
        yield site
    finally:
        site.close()
