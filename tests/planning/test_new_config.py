"""A new configuration: its comments and counts are true, and nothing is overwritten."""

import re
import shlex

import pytest
import yaml
from click.testing import CliRunner
from tiny import INCEPTION, ROOT, refused

from pipeline.config import loading, schema
from pipeline.config.paths import Paths
from pipeline.config.runs import Run, find, layered
from pipeline.config.yaml_files import read_yaml
from pipeline.networks import heads, notation
from pipeline.networks.cost import forward_flops
from pipeline.planning import new_config
from pipeline.planning.settings import maps_of_run
from stages.__main__ import main
from stages.colorize import command as colorize


@pytest.fixture
def call(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return lambda *arguments: CliRunner().invoke(main, ["new", *map(str, arguments)])


def photographs(folder, number):
    (folder / "sub").mkdir(parents=True)
    for i in range(number):
        (folder / ("sub" if i % 2 else "") / f"{i}{('.jpg', '.JPEG', '.webp')[i % 3]}").write_bytes(b"")
    (folder / "notes.txt").write_text("")
    (folder / ".hidden.jpg").write_text("")
    return folder


def test_the_configuration_names_the_folder_and_trains_as_its_comments_say(call, tmp_path):
    folder = photographs(tmp_path / 'my "Pictures": #1 ü {x} %', 40)
    result = call("my-photos", "--from", folder)
    assert result.exit_code == 0, result.stderr
    assert "40 photographs" in result.stderr and "about " in result.stderr
    text = (tmp_path / "work" / "my-photos.yaml").read_text()
    read = loading.load_config([tmp_path / "work" / "my-photos.yaml"], base=read_yaml(ROOT / "config/config.yaml"))
    source = read.datasets[read.dataset]
    assert (read.dataset, source.kind, source.path) == ("my-photos", "folder", str(folder))
    assert read.training.epochs == new_config.FROM_SHIPPED.of(40) == 30
    assert read.embedding.weights == "imagenet"
    assert f"# {result.stderr.splitlines()[1].removeprefix('new: ')}" in text.splitlines()
    assert "24 photographs, all epochs together 720." in text
    assert f"epochs: {new_config.FROM_NOTHING.of(40)}." in text
    # What is not in the file, or says the same as the default, is the default's.
    defaults = schema.Config().model_dump()
    changed = {key for key, value in read.model_dump().items() if value != defaults.get(key)}
    assert changed - {"threads", "sweeps"} == {"dataset", "datasets", "root", "training", "experiments"}


def test_the_commands_fit_the_configuration(call, tmp_path):
    result = call("my-photos", "--from", photographs(tmp_path / "p", 3))
    read = loading.load_config([tmp_path / "work" / "my-photos.yaml"])
    workflow, coloured = map(shlex.split, result.stdout.splitlines())
    assert workflow[:3] == ["snakemake", "--cores", "4"] and workflow[4:] == ["--configfile", "my-photos.yaml"]
    run = find(read, workflow[3].rpartition("/")[2])
    assert workflow[3] == str(Paths(read).results / run.name)
    assert coloured[:4] == ["python", "-m", "stages", "colorize"]
    values = colorize.make_context("colorize", coloured[4:]).params
    assert str(values["run"]) == workflow[3] and str(values["out"]) == "coloured"
    for line in result.stdout.splitlines():
        assert line in (tmp_path / "work" / "my-photos.yaml").read_text()


def test_the_run_starts_from_the_shipped_weights_and_fits_its_network(call, tmp_path):
    call("my-photos", "--from", photographs(tmp_path / "p", 3))
    read = loading.load_config([tmp_path / "work" / "my-photos.yaml"])
    run = find(read, new_config.RUN)
    training = layered(read, run).training
    assert training.start_from == "shipped" and "shipped" in (ROOT / "config/config.yaml").read_text()
    assert (training.optimizer, training.schedule, training.mirror) == ("adamw", "cosine", True)
    assert (training.epochs, training.patience) == (read.training.epochs, read.training.patience)
    architecture = notation.of_run(run, {})
    assert run.architecture == "color" and notation.parse(run.architecture, architecture)
    assert heads.choose(architecture.head).temperature == 0.6
    assert maps_of_run(read, run.name) == ("map_56", "map_28", "map_14", "map_7")


def test_the_comments_say_how_to_train_from_nothing(call, tmp_path):
    call("my-photos", "--from", photographs(tmp_path / "p", 3))
    text = (tmp_path / "work" / "my-photos.yaml").read_text()
    line = next(line for line in text.splitlines() if line.strip().startswith("start_from:"))
    read = loading.parse_config(yaml.safe_load(text.replace(line + "\n", "")))
    assert layered(read, find(read, new_config.RUN)).training.start_from is None
    name = re.search(r"for example my-photos/results/(\S+),", text)[1]
    assert find(read, name) == Run.parse(new_config.PAPERS_RUN)


def test_what_the_comments_say_of_the_networks_is_true():
    run = Run.parse(new_config.PAPERS_RUN)
    for name, flops in ((run.architecture, "0.9 GFLOP"), ("base", "14.7")):
        assert f"{forward_flops(name, 224, {}) / 1e9:.1f}" in flops
        assert flops in " ".join(new_config.TEMPLATE.split())
        row = next(line for line in (ROOT / "docs/networks.md").read_text().splitlines() if f"`{name}`" in line[:12])
        assert row.split("|")[5].strip() in new_config.TEMPLATE


def test_the_papers_network_is_a_line_to_uncomment(call, tmp_path):
    call("my-photos", "--from", photographs(tmp_path / "p", 3))
    text = (tmp_path / "work" / "my-photos.yaml").read_text()
    changed = text.replace("  network: efficientnet_lite0\n", "").replace("  # network: ", "  network: ")
    assert changed != text
    assert loading.parse_config(yaml.safe_load(changed)).embedding.network == INCEPTION.name


def test_epochs_fall_with_the_number_of_photographs_within_bounds():
    numbers = [3, 60, 500, 1000, 5000, 20_000, 10**6]
    assert [new_config.FROM_SHIPPED.of(number) for number in numbers] == [30, 30, 20, 10, 3, 3, 3]
    assert [new_config.FROM_NOTHING.of(number) for number in numbers] == [200, 200, 200, 100, 20, 5, 5]


def test_a_configuration_is_replaced_only_if_asked_for(call, tmp_path):
    folder = photographs(tmp_path / "p", 3)
    path = tmp_path / "work" / "mine.yaml"
    path.write_text("precious")
    refused(call("mine", "--from", folder), "mine.yaml: ", "--replace")
    assert path.read_text() == "precious"
    assert call("mine", "--from", folder, "--replace").exit_code == 0
    assert loading.load_config([path]).dataset == "mine"


@pytest.mark.parametrize("number", [0, 2])
def test_too_few_photographs_are_refused(call, tmp_path, number):
    folder = photographs(tmp_path / "p", number)
    refused(call("mine", "--from", folder), f"{folder}: ", f" {number};")
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.parametrize("name", ["a/b", "..", ".x", "123", "true", "1.5", "2024-01-01", "sample", "data", "", "a b"])
def test_a_name_that_cannot_be_used_is_refused(call, tmp_path, name):
    refused(call(name, "--from", photographs(tmp_path / "p", 3)), f"{name!r}: ")
    assert not list((tmp_path / "work").iterdir())


def test_results_never_come_among_other_files(call, tmp_path):
    folder = photographs(tmp_path / "p", 3)
    (tmp_path / "work" / "docs").mkdir()
    assert call("docs", "--from", folder).exit_code == 0  # an empty folder is as good as none
    (tmp_path / "work" / "docs" / "results").mkdir()
    assert call("docs", "--from", folder, "--replace").exit_code == 0
    (tmp_path / "work" / "docs" / "mine.md").write_text("")
    refused(call("docs", "--from", folder, "--replace"), "'docs': ", "other files")


def test_stores_and_results_never_come_among_the_photographs(call, tmp_path):
    photographs(tmp_path / "work" / "p", 3)
    refused(call("mine", "--from", "."), "outside")
    refused(call("mine", "--from", tmp_path), "outside")
    (tmp_path / "link").symlink_to(tmp_path / "work")
    refused(call("mine", "--from", tmp_path / "link"), "outside")
    assert call("mine", "--from", "p").exit_code == 0
    assert loading.load_config([tmp_path / "work" / "mine.yaml"]).datasets["mine"].path == str(tmp_path / "work" / "p")


@pytest.mark.parametrize(("folder", "received"), [("absent", "nothing there"), ("file", "a file there")])
def test_what_is_no_folder_is_refused(call, tmp_path, folder, received):
    (tmp_path / "file").write_text("")
    refused(call("mine", "--from", tmp_path / folder), f"--from {tmp_path / folder}: ", received)


def test_a_folder_whose_name_yaml_cannot_hold_is_refused(call, tmp_path):
    refused(call("mine", "--from", photographs(tmp_path / "p\udcff", 3)), "\\udcff: ")


def test_a_full_disk_is_a_warning_of_the_configuration(call, tmp_path, monkeypatch):
    usage = new_config.estimate.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(new_config.estimate.shutil, "disk_usage", lambda path: usage._replace(free=1))
    result = call("mine", "--from", photographs(tmp_path / "p", 3))
    assert result.exit_code == 0 and "warning: data: this work needs about" in result.stderr
    assert "# warning: data: this work needs about" in (tmp_path / "work" / "mine.yaml").read_text()
