"""A run that starts from another's weights, by the commands: its results show what its own training added."""

import csv
import shutil

import pytest
import yaml
from commands import invoke, prepared
from tiny import refused

from pipeline.core import files
from pipeline.evaluation import paired
from pipeline.evaluation.scores import MODEL, START
from pipeline.evaluation.vocabulary import heading

LAYERS = {"encoder": "4/2 4/2 4/2", "fusion": "1x1:4"}
CLASSES = {"name": "classes", "temperature": 0.5}
EXPERIMENTS = {
    "numbers": {"architecture": "toy", "learning_rate": 1e-2, "l2": 1e-2},
    "classes": {"architecture": "quarter", "learning_rate": 1e-2, "l2": 0, "embedding": False, "head": CLASSES},
}
CONFIG = {
    "dataset": "tiny",
    "datasets": {"tiny": {"kind": "kaggle", "path": "data/tiny-archive"}},
    "images_per_shard": 8,
    "training": {"epochs": 2},
    "evaluation": {"pictures": 2, "recognition": None, "weights": "last"},
    "architectures": {
        "toy": {**LAYERS, "decoder": "4 ^ 4 ^ 2 ^"}, "quarter": {**LAYERS, "decoder": "^ 1x1:313", "head": "classes"},
    },
    "experiments": {
        **EXPERIMENTS,
        **{f"{name}-on": {**experiment, "training": {"start_from": f"results/{name}"}}
           for name, experiment in EXPERIMENTS.items()},
        "astray": {**EXPERIMENTS["classes"], "training": {"start_from": "results/numbers"}},
        "as-it-is": {**EXPERIMENTS["classes"], "training": {"start_from": "results/classes", "epochs": 0}},
        "nowhere": {**EXPERIMENTS["classes"], "training": {"start_from": "results/nothing"}},
    },
}  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unsaved")]


@pytest.fixture(scope="module")
def place(_started, tmp_path_factory):
    """A folder with a dataset and two runs to start from."""
    with prepared(tmp_path_factory.mktemp("starts"), CONFIG) as folder:
        for stage in (["baselines"], *([s, name] for name in EXPERIMENTS for s in ("train", "evaluate"))):
            result = invoke(*stage)
            assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def call(keras, place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.delenv("DEEPCOLOR_CONFIG", raising=False)
    keras.utils.clear_session(free_memory=False)

    def call(*arguments):
        result = invoke(*arguments)
        assert result.exit_code == 0, result.output
        return result

    return call


def scores(folder, answer):
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["answer"] == answer]
    return {(row["partition"], row["metric"]): row["value"] for row in rows}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_start_is_scored_beside_the_run_as_it_was_scored_itself(call, place, name):
    run = f"{name}-on"
    donor, model, result = place / "results" / name, place / "models" / run, place / "results" / run
    call("train", run)
    shutil.move(donor, place / "away")
    try:
        call("evaluate", run)
    finally:
        shutil.move(place / "away", donor)
    assert scores(result, START) == scores(donor, MODEL) != scores(result, MODEL)
    assert (("test", "loss") in scores(result, START)) == (name == "numbers")
    assert (model / "start.keras").read_bytes() == (donor / "model.keras").read_bytes()

    with (result / "differences.csv").open(newline="") as file:
        compared = {(row["partition"], row["metric"]): float(row["value"])
                    for row in csv.DictReader(file) if row["against"] == START}  # fmt: skip
    for key, difference in compared.items():
        before, after = (float(scores(result, answer)[key]) for answer in (START, MODEL))
        assert difference == pytest.approx(after - before, abs=paired.SAME * abs(before))
    assert {"rmse", "ciede2000"} <= {metric for _, metric in compared}
    record = yaml.safe_load((result / "run.yaml").read_text())
    before, after = (float(scores(result, answer)["test", "ciede2000"]) for answer in (START, MODEL))
    numbers = f"CIEDE2000 {after:.2f} against {before:.2f} with the starting weights"
    assert any(numbers in sentence for sentence in record["findings"])
    card = (result / "model-card.md").read_text()
    digest = files.digest_file(donor / "model.keras")
    assert heading(START) in card and f"sha256:{digest}" in card and numbers in card
    assert f"{heading(START)}: CIEDE2000, test" in (place / "results" / "summary.md").read_text()
    assert heading(START) not in (donor / "model-card.md").read_text()
    assert invoke("report").exit_code == 0
    assert heading(START) in (place / "results" / "report" / f"{run}.html").read_text()


def test_a_run_of_no_epochs_is_scored_as_the_network_was(call, place):
    call("train", "as-it-is")
    call("evaluate", "as-it-is")
    result = place / "results" / "as-it-is"
    assert scores(result, MODEL) == scores(place / "results" / "classes", MODEL) and scores(result, START) == {}
    call("report")
    page = (place / "results" / "report" / "as-it-is.html").read_text()
    summary, card = (path.read_text() for path in (result.parent / "summary.md", result / "model-card.md"))
    row = next(line for line in summary.splitlines() if line.startswith("| as-it-is"))
    assert all("not trained here" in text and "0 epochs" not in text for text in (page, card, row))
    assert "finished" not in card + row
    assert not list(result.glob("curves.*")) and "curves." not in card + page


def test_the_start_has_the_temperature_of_the_evaluation(call, place):
    call("train", "classes-on")
    call("evaluate", "classes-on", "--set", "evaluation.temperature=50", "--replace")
    start, trained, donor = (
        float(scores(place / "results" / name, answer)["test", "chroma_ratio"])
        for name, answer in (("classes-on", START), ("classes-on", MODEL), ("classes", MODEL))
    )
    shutil.rmtree(place / "results" / "classes-on")  # other tests want the temperature of the head
    # At 50, all classes are about as likely.
    assert start == pytest.approx(trained, abs=0.01)
    assert abs(start - donor) > 0.05


def test_damage_to_the_kept_start_is_found_and_mended(call, place):
    call("train", "numbers-on")
    kept = place / "models" / "numbers-on" / "start.keras"
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1])
    found = invoke("verify", "models/numbers-on", config=False)
    assert found.exit_code == 1 and "start.keras" in found.output
    refused(invoke("evaluate", "numbers-on"), "start.keras is damaged")
    call("train", "numbers-on")
    assert kept.read_bytes() == whole


@pytest.mark.parametrize(("name", "path"), [("astray", "results/numbers"), ("nowhere", "results/nothing")])
def test_a_start_that_does_not_fit_is_refused_before_the_run_exists(call, place, name, path):
    refused(invoke("train", name), "training.start_from: ", f"{path}/model.keras")
    assert not (place / "models" / name / "settings.json").exists()
