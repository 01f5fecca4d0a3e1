"""Installations without all extras: they colour photographs, and other commands say which extra they need."""

import os
import signal
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
from image_files import encoded
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tiny import ROOT, gray_photograph, python

from pipeline.core import extras

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OPTIONAL = PROJECT["optional-dependencies"]


def closure(wanted):
    """The distributions that these requirements install."""
    found, left = {}, [Requirement(text) for text in wanted]
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        contexts = [{"extra": extra} for extra in ("", *requirement.extras)]
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found[name] = metadata.distribution(name)
        inner = map(Requirement, found[name].requires or ())
        left += [each for each in inner if not each.marker or any(map(each.marker.evaluate, contexts))]
    return found.values()


def installed(folder, wanted):
    """Link the packages that these requirements install into a folder."""
    folder.mkdir()
    for distribution in closure(wanted):
        for name in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            (folder / name).symlink_to(distribution.locate_file(name))
    return folder


@pytest.fixture(scope="module")
def lean(tmp_path_factory):
    """Call DeepColor where nothing but its base dependencies is installed, from a folder that is not its own."""
    folder = tmp_path_factory.mktemp("lean")
    packages = installed(folder / "packages", PROJECT["dependencies"])

    def lean(*arguments, packages=packages):
        command = [sys.executable, "-S", "-m", "stages", *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{packages}"}
        return subprocess.Popen(
            command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    return lean


def ended(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_colouring_a_jpeg_imports_nothing_slow_that_it_does_not_need(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encoded(gray_photograph(120, 160, 3), "JPEG"))
    done = python("-X", "importtime", "-m", "stages", "colorize", tmp_path / "a.jpg", "--out", tmp_path / "out")
    assert done.returncode == 0 and (tmp_path / "out" / "a.jpg").exists(), done.stderr
    taken = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert {"onnxruntime", "cv2"} <= taken
    assert not taken & {"numpy.ma", "tifffile", "psutil", "pydantic", "asyncio", "scipy", "zarr", "keras", "tensorflow"}


def test_a_photograph_is_coloured_as_with_all_packages(lean, tmp_path):
    (tmp_path / "a.jpg").write_bytes(encoded(gray_photograph(120, 160, 3), "JPEG"))
    (tmp_path / "b.tif").write_bytes(encoded(gray_photograph(120, 160, 4), "TIFF"))
    photographs = [tmp_path / "a.jpg", tmp_path / "b.tif"]
    status, _, said = ended(lean("colorize", *photographs, "--out", tmp_path / "lean", "--compare"))
    assert status == 0, said
    command = [sys.executable, "-m", "stages", "colorize", *photographs, "--out", tmp_path / "all", "--compare"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    names = sorted(path.name for path in (tmp_path / "all").iterdir() if path.suffix != ".csv")
    assert len(names) >= 4
    for name in names:
        assert (tmp_path / "lean" / name).read_bytes() == (tmp_path / "all" / name).read_bytes(), name


def test_the_doctor_says_what_works(lean):
    status, out, err = ended(lean("doctor"))
    assert (status, err) == (0, "")
    says = {line[:20].strip(): line[20:25].strip() for line in out.splitlines()}
    assert says["colour photographs"] == "yes"
    assert {
        says[name] for name in ("HEIC, JPEG XL", "page (serve)", "train, measure", "search", "tracker mlflow", "export")
    } == {"no"}


@pytest.mark.parametrize(
    "stage", ["ingest", "train base_lr1e-3", "evaluate base_lr1e-3", "report", "verify .", "new a --from ."]
)
def test_other_stages_name_the_extra_that_they_need(lean, stage):
    status, out, err = ended(lean(*stage.split()))
    assert status == 2 and out == "" and len(err.splitlines()) == 1
    assert err.startswith(f"error: {stage.split()[0]}: ") and "`pipeline`" in err


def test_the_help_and_the_version_need_no_extra(lean):
    assert ended(lean("--help"))[::2] == (0, "") and ended(lean("train", "--help"))[0] == 0
    assert PROJECT["version"] in ended(lean("--version"))[1]


def test_the_page_needs_its_own_extra_only(lean, tmp_path):
    packages = installed(tmp_path / "packages", PROJECT["dependencies"] + OPTIONAL["serve"])
    process = lean("serve", "--port", 0, packages=packages)
    try:
        for line in process.stderr:  # ends with the process
            if "http://127.0.0.1:" in line:
                break
        else:
            pytest.fail("the page was not served")
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_the_extras_are_those_of_the_project():
    names = metadata.packages_distributions()
    tables = {extra: (found, OPTIONAL[extra]) for extra, found in extras.EXTRAS.items()}
    tables[""] = extras.BASE, PROJECT["dependencies"]
    for extra, (modules, wanted) in tables.items():
        known = {canonicalize_name(name) for module in modules for name in names[module]}
        assert {canonicalize_name(Requirement(text).name) for text in wanted} <= known, extra
        assert len(modules) == len(wanted), extra
