"""The workflow, called through snakemake on a tiny dataset."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml
from clusters import wait_until
from flow import RUN, Workflow
from tiny import RESULT_FILES, ROOT, python, tree, write_embeddings

from pipeline.config import loading
from pipeline.config.paths import SweepFiles
from pipeline.core import files
from pipeline.dataset.ingest import ingest
from pipeline.planning.settings import settings_of_search

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workflow(tmp_path_factory):
    """A finished run with random embeddings, written with the library, so that no network is needed."""
    flow = Workflow(tmp_path_factory.mktemp("workflow"))
    ingest(flow.config.datasets["tiny"], flow.places.images, images_per_shard=8)
    write_embeddings(flow.places.images, flow.places.embeddings.path)
    flow.printed = flow.run("-R", "embed", fork=False)  # which finds them finished, and writes a manifest of its own
    return flow


def test_one_call_makes_the_results(workflow):
    result = workflow.folder / "results" / RUN
    names = {path.name for path in result.iterdir()}
    assert names - {".snakemake_timestamp"} == RESULT_FILES
    record = yaml.safe_load((result / "run.yaml").read_text())
    assert record["epochs"] == 2 and record["configuration"]["dataset"] == "tiny"
    assert RUN in (workflow.folder / "results" / "summary.md").read_text()
    assert "15 images; " in workflow.printed and f"{RUN}, test images:" in workflow.printed


def test_a_named_experiment_is_a_target_as_any_run_is(workflow):
    asked = workflow.run("-n", "-p", target=workflow.result("plain_s3"))
    assert workflow.jobs(asked) == {"train", "evaluate"}
    for stage in ("train", "evaluate"):
        assert f"python -m stages {stage} plain_s3 " in asked


def test_the_workflow_is_called_from_another_folder_by_the_path_of_its_file(workflow, tmp_path):
    """There, the defaults are those that come with DeepColor."""
    flow = Workflow(tmp_path)
    where = ("-s", ROOT / "workflow" / "Snakefile", "--configfile", flow.configfile, "--config", "root=.", "data=data")
    printed = flow("--until", "ingest", *where, "--", f"results/{RUN}", cwd=tmp_path, fork=False)
    assert flow.places.images.manifest()["rows"] == 15, printed


@pytest.mark.long
def test_a_named_experiment_is_made_as_any_run_is(workflow):
    printed = workflow.run(target=workflow.result("plain_s3"))
    assert "epoch 1 of 1" in printed and workflow.jobs(printed) == {"train", "evaluate"}
    assert (workflow.folder / "results" / "plain_s3" / "metrics.csv").exists()


def test_a_second_call_does_nothing_with_and_without_a_slash(workflow):
    before = tree(workflow.folder)
    assert "Nothing to be done" in workflow.run()
    assert "Nothing to be done" in workflow.run(target=f"{workflow.result(RUN)}/")
    assert tree(workflow.folder) == before
    asked = workflow.run("-n", target=f"{workflow.result(RUN + '_s1')}/")
    assert workflow.jobs(asked) == {"train", "evaluate"}


def test_stages_can_be_rerun_one_by_one(workflow):
    assert {"split", "train", "evaluate"} <= workflow.jobs(workflow.run("-n", "-R", "split"))
    assert workflow.jobs(workflow.run("-n", "-R", "train")) == {"train", "evaluate"}
    assert workflow.jobs(workflow.run("-n", "-R", "train", "--until", "train")) == {"train"}
    before = tree(workflow.places.model(RUN))
    workflow.run("-R", "train", "--until", "train")
    after = tree(workflow.places.model(RUN))
    assert {name: after[name] for name in after if name.endswith(("h5", "npz"))} == {
        name: before[name] for name in before if name.endswith(("h5", "npz"))
    }


def test_old_results_stay_until_the_new_ones_are_whole(workflow):
    result, weights = workflow.folder / "results" / RUN, workflow.places.model(RUN) / "best.weights.h5"
    before, whole = tree(result), weights.read_bytes()
    weights.write_bytes(whole[:-1])
    printed = workflow.run("-R", "evaluate", status=1)
    assert "best.weights.h5" in printed and tree(result) == before
    weights.write_bytes(whole)
    assert "Nothing to be done" in workflow.run()
    assert tree(result) == before


def test_a_lost_shard_is_made_again_and_no_other(workflow):
    store = workflow.places.images
    before = tree(store.path)
    store.shard_file("L", 0).unlink()
    printed = workflow.run("--until", "ingest")
    assert "shards [0]" in printed and "(1 written, 1 unchanged)" in printed
    assert tree(store.path) == before


DAMAGED = {
    "data/tiny/images.zarr/L/c/1/0/0": {"ingest"},
    "data/tiny/images.zarr/ab/zarr.json": {"ingest"},
    "data/tiny/images.json": {"ingest"},
    "data/tiny/index.csv": {"ingest"},
    "data/tiny/splits.csv": {"split"},
    "data/tiny/baselines_per_image.csv": {"baselines"},
    "data/tiny/pictures/true/000009.jpg": {"baselines"},
    f"models/{RUN}/best.weights.h5": {"train"},
    f"models/{RUN}/training.json": {"train"},
    f"results/{RUN}/metrics.csv": {"evaluate"},
    f"results/{RUN}/files.json": {"evaluate"},
    "results/summary.csv": {"summary"},
    "results/sweep.png": {"summary"},
}
MANIFESTS = {"data/tiny/images.json", f"models/{RUN}/training.json", f"results/{RUN}/files.json"}
BELOW_A_DAMAGED_MANIFEST = {
    "data/tiny/images.zarr/ab/zarr.json", "data/tiny/index.csv", f"models/{RUN}/best.weights.h5",
    f"results/{RUN}/metrics.csv",
}  # fmt: skip
FILES = [name for name in DAMAGED if name not in MANIFESTS]


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(FILES, id="files"),
        pytest.param(list(DAMAGED), id="all", marks=pytest.mark.long),
        *(pytest.param([name], id=name, marks=pytest.mark.long) for name in DAMAGED),
    ],
)
def test_what_verify_finds_is_made_again_by_the_same_command(workflow, names):
    def everything():
        made = tree(workflow.folder)
        return {name: made[name] for name in made if not any(part in name for part in (".lost", "logs/", "times.csv"))}

    before = everything()
    for name in names:
        path = workflow.folder / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
    found = python("-m", "stages", "verify", workflow.folder)
    assert found.returncode == 1 and found.stderr.count("Traceback") == 0
    # Without its manifest, nothing can be said of a file; it is made again with it.
    told = names if names != list(DAMAGED) else set(DAMAGED) - BELOW_A_DAMAGED_MANIFEST
    assert [name for name in told if f"{workflow.folder / name}" not in found.stdout] == []
    assert len(found.stdout.splitlines()) == len(told)
    printed = workflow.run()
    assert workflow.jobs(printed) >= set().union(*(DAMAGED[name] for name in names))
    if names == ["results/summary.csv"]:
        assert workflow.jobs(printed) == {"summary"}
    assert everything().keys() == before.keys()
    assert [name for name, content in everything().items() if content != before[name]] == []
    assert python("-m", "stages", "verify", workflow.folder).returncode == 0
    assert "Nothing to be done" in workflow.run()


@pytest.mark.long
def test_the_page_shows_every_run_and_is_renewed_with_the_results(workflow):
    page = workflow.result("index.html")
    workflow.run(target=page)
    assert RUN in (workflow.folder / "results" / "index.html").read_text()
    assert "Nothing to be done" in workflow.run("-n", target="report")
    other = f"{RUN}_noembed"
    assert workflow.jobs(workflow.run("-n", target=workflow.result(other))) == {"train", "evaluate"}
    workflow.run(target=workflow.result(other))
    assert "With and without the embedding" in (workflow.folder / "results" / "summary.md").read_text()
    workflow.run(target="report")
    assert other in (workflow.folder / "results" / "index.html").read_text()


def test_another_seed_of_the_evaluation_is_refused_before_any_job(workflow):
    printed = workflow.run("--config", "evaluation={seed: 7}", status=2)
    assert "baselines.csv" in printed and "seed: 0, now 7" in printed


@pytest.mark.long
def test_after_snakemake_was_killed_the_same_command_goes_on(workflow):
    name = f"{RUN}_s3"
    asked = [workflow.result(name), "--configfile", workflow.configfile, "--config", "training={epochs: 60}"]
    command = [Path(sys.executable).with_name("snakemake"), "--cores", "2", *map(str, asked)]
    killed = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    history = workflow.places.model(name) / "history.csv"
    wait_until(lambda: history.exists() and len(history.read_text().splitlines()) > 3, history)
    killed.kill()
    killed.wait()
    wait_until(
        lambda: not any(name in " ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])),
        "the end of the stages",
    )
    printed = workflow(*asked)
    assert "resuming after epoch" in printed and "epoch 60 of 60" in printed
    assert (workflow.folder / "results" / name / "metrics.csv").exists()


def test_other_settings_are_refused_before_any_job(workflow):
    before = tree(workflow.folder / "models")
    printed = workflow.run("--config", "split={seed: 7}", status=2)
    assert "error: " in printed and "seed: 4, now 7" in printed and "replace=true" in printed
    printed = workflow.run("--config", "training={start_at: zeros}", status=2)
    assert "training.start_at: 'mean', now 'zeros'" in printed
    assert "Traceback" not in printed
    assert tree(workflow.folder / "models") == before


def test_settings_count_without_snakemakes_memory_and_however_the_path_is_spelt(workflow, tmp_path):
    """Another clone has no `.snakemake` of this one; its folder is copied with other times."""
    copied = shutil.copytree(workflow.folder, tmp_path / "copy", copy_function=shutil.copy2)

    def asked(folder, *config):
        places = (f"root={folder}", f"data={folder / 'data'}", *config)
        target = ("-n", folder / "results" / RUN, "--configfile", workflow.configfile, "--config")
        return workflow(*target, *places)

    for folder in (workflow.folder, copied):
        assert "made again" not in asked(folder)
        split = workflow.jobs(asked(folder, "replace=true", "split={seed: 1}"))
        assert split - {"summary"} == {"split", "baselines", "train", "evaluate"}  # the copy has no summary yet
        more = asked(folder, "training={epochs: 3}")
        assert workflow.jobs(more) - {"summary"} == {"train", "evaluate"} and "epochs: 2, now 3" in more
        last = asked(folder, "replace=true", "evaluation={weights: last, recognition: null}")
        assert workflow.jobs(last) - {"summary"} == {"evaluate"}, last


@pytest.mark.long
def test_more_epochs_continue_the_run(workflow):
    printed = workflow.run("--config", "training={epochs: 3}")
    assert "resuming after epoch 2" in printed
    history = (workflow.folder / "results" / RUN / "history.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in history] == ["epoch", "1", "2", "3"]
    assert json.loads((workflow.places.model(RUN) / "training.json").read_text())["epochs"] == 3


def test_a_finished_dataset_needs_no_archive_and_knows_it_elsewhere(workflow):
    archive, elsewhere = workflow.folder / "archive", workflow.folder / "elsewhere"
    workflow.run()
    archive.rename(elsewhere)
    try:
        assert "Nothing to be done" in workflow.run("-n")
        assert workflow.jobs(workflow.run("-n", target=workflow.result("plain_s5"))) == {"train", "evaluate"}
        dataset = f"datasets={{tiny: {{kind: kaggle, path: {elsewhere}}}}}"
        (elsewhere / "ab" / "ab" / "ab1.npy").touch()
        assert "Nothing to be done" in workflow.run("-n", "--config", dataset)
    finally:
        elsewhere.rename(archive)
        workflow.run()


def test_a_search_is_one_job_after_the_data_and_again_if_it_is_another(workflow, tmp_path):
    def search(**changes):
        values = {"extends": "plain", "space": {"learning_rate": [1e-3, 1e-2]}, "trials": 2, **changes}
        (tmp_path / "search.yaml").write_text(yaml.safe_dump({"searches": {"vivid": values}}))
        return workflow("search/vivid", "-n", "--configfile", workflow.configfile, tmp_path / "search.yaml")

    assert workflow.jobs(search()) == {"search"}
    manifest = SweepFiles(workflow.places.results, "vivid").manifest
    config = loading.load_config([workflow.configfile, tmp_path / "search.yaml"])
    made = files.fingerprint({**settings_of_search(config, "vivid"), "trials": 2})
    try:
        files.write_json(manifest, {"search": made, "runs": [], "files": {}})
        assert workflow.jobs(search()) == set()
        assert workflow.jobs(search(trials=3)) == workflow.jobs(search(seed=1)) == {"search"}
    finally:
        manifest.unlink()
    assert "vivid" in workflow("search/vivud", "--configfile", workflow.configfile, tmp_path / "search.yaml", status=2)


def test_a_sweep_trains_all_its_runs_and_one_that_fails_is_a_row(workflow, tmp_path):
    def sweep(*rates, status=0, more=()):
        grid = {"rates": {"extends": "plain", "grid": {"learning_rate": rates}}}
        (tmp_path / "sweep.yaml").write_text(yaml.safe_dump({"sweeps": grid}))
        return workflow(
            "sweep/rates", "--configfile", workflow.configfile, tmp_path / "sweep.yaml", *more, status=status
        )

    fast, slow = (f"rates.learning_rate-1e-{rate}" for rate in (2, 3))
    obstacle = workflow.folder / "models" / f".{slow}.lock"
    obstacle.mkdir()
    sweep(1e-2, 1e-3, status=1)
    with (workflow.folder / "results" / "sweeps" / "rates.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["combination"], row["verdict"]) for row in rows] == [(fast, "best"), (slow, "not finished")]
    assert f"{slow}/train.log" in rows[1]["problems"]
    obstacle.rmdir()
    assert workflow.jobs(sweep(1e-2, 1e-3, more=["-n"])) == {"train", "evaluate", "sweep"}
    assert workflow.jobs(sweep(1e-2)) == {"sweep"}
    assert workflow.jobs(sweep(1e-2, more=["-n"])) == set()
    assert "rates" in workflow("sweep/rate", "--configfile", workflow.configfile, tmp_path / "sweep.yaml", status=2)
