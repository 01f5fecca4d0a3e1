"""The command: the runs that it finds, and bad options."""

import shutil
import socket
import sys

import pytest
import yaml
from click.testing import CliRunner
from tiny import make_run

pytest.importorskip("uvicorn", reason="the extra serve is not installed")

from pipeline.config.paths import SHIPPED
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.serve import runs

FINDING = "RMSE 12.00, 15.00 for gray: better."


@pytest.fixture(scope="module")
def results(_started, tmp_path_factory):
    """Two finished runs."""
    folder = tmp_path_factory.mktemp("serve") / "results"
    make_run(folder, "dot_lr1e-2_noembed", findings=[FINDING])
    make_run(folder, "dot_lr1e-3_noembed")
    return folder


def test_runs_are_read_without_their_networks(results, tmp_path):
    shipped, one, two = runs.offered(results)
    assert shipped.folder == SHIPPED and not shipped.random and shipped.findings
    assert (one.name, one.random, one.findings) == ("dot_lr1e-2_noembed", False, (FINDING,))
    assert two.findings == ()
    copy = shutil.copytree(results, tmp_path / "results")
    record = yaml.safe_load((copy / two.name / "run.yaml").read_text())
    record["embedding"] = {"weights": "random", "seed": 3}
    (copy / two.name / "run.yaml").write_text(yaml.safe_dump(record))
    files.write_listing(copy / two.name)
    assert runs.read(copy / two.name).random and "RANDOM (seed 3" in runs.read(copy / two.name).weights
    diverged = make_run(copy, "dot_lr1e0_noembed", status="diverged in epoch 1", epochs=1, best_epoch=0)
    with pytest.raises(InputError, match=rf"^{diverged}: .*diverged"):
        runs.read(diverged)
    assert [run.name for run in runs.offered(copy)] == [shipped.name, one.name, two.name]
    (copy / one.name / "model.keras").write_bytes(b"x")
    assert [run.name for run in runs.offered(copy)] == [shipped.name, two.name]
    (copy / two.name / "model.keras").unlink()
    assert [run.name for run in runs.offered(copy)] == [shipped.name]


@pytest.fixture
def call(tmp_path, monkeypatch):
    from stages.serve import command

    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        result = CliRunner().invoke(command, [str(argument) for argument in arguments])
        assert result.exit_code == 2 and len(result.stderr.strip().splitlines()) == 1, result.output
        return result.stderr

    return call


def test_bad_options_are_refused_in_one_line(call, results, tmp_path):
    run = results / "dot_lr1e-2_noembed"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"--port: expected a free port of 127.0.0.1, received {port}" in call("--run", run, "--port", port)
    for host in ("0.0.0.0", "192.168.0.1", "example.org", "::"):
        assert "--host: expected" in call("--run", run, "--host", host)
    assert "expected the results of a run, but there is no run.yaml" in call("--run", tmp_path)


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_a_missing_extra_is_named(call, monkeypatch, package):
    for module in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(sys.modules, "pipeline.serve.server")
    monkeypatch.delattr("pipeline.serve.server")
    monkeypatch.setitem(sys.modules, package, None)
    error = call()
    assert f"{package} is not installed" in error and "'.[serve]'" in error
