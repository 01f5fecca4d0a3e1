"""What was made with other settings or data is known by its own record, wherever it lies and however it is spelt."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from tiny import DOT, photographs

from pipeline.config import loading, schema
from pipeline.config.paths import Paths, RunFiles
from pipeline.config.sources import KaggleSource
from pipeline.core import csv_files, files
from pipeline.core.errors import InputError
from pipeline.core.text import brief
from pipeline.dataset.ingest import ingest
from pipeline.planning import artefacts, check, due, estimate
from pipeline.planning.artefacts import stage_settings
from pipeline.planning.settings import settings_of_training

RUN = "dot_lr1e-3"
STAGES = ("ingest", "embed", "split", "baselines", "train", "evaluate")


@pytest.fixture
def made(dataset, tmp_path):
    """The configuration of a dataset whose baselines, training and results have records, but no more than that."""
    source = dataset.images.attributes()["settings"]["source"]
    config = schema.Config(
        dataset="tiny",
        datasets={"tiny": KaggleSource(**source)},
        root=str(tmp_path),
        data=str(tmp_path / "data"),
        images_per_shard=8,
        architectures=DOT,
    )
    paths = Paths(config)
    split = files.read_json(paths.splits.with_suffix(".json"))
    data = {"images": split["images"], "split": split["files"]["splits.csv"]}
    files.write_json(artefacts.manifest(paths, "baselines"), {"settings": stage_settings(config, "baselines"), **data})
    record_training(config)
    return config


def record_training(config, **facts):
    """Write the records of a trained and evaluated run."""
    paths = Paths(config)
    facts = {"status": "finished", "epochs": 2, "best_epoch": 1, **facts}
    settings = {**settings_of_training(config, RUN), "fingerprints": due.fingerprints(paths)}
    digests = {"best.weights.h5": "b" * 64, "last.weights.h5": "c" * 64}
    files.write_json(artefacts.manifest(paths, "train", RUN), {**facts, "settings": settings, "files": digests})
    result = paths.results / RUN
    record = {"settings": settings, "weights_sha256": "b" * 64, "epochs": facts["epochs"]}
    record["configuration"] = {"evaluation": config.evaluation.model_dump()}
    files.write_text(result / "run.yaml", yaml.safe_dump(record))
    files.write_listing(result)


def changed(before, **changes):
    return loading.parse_config(loading.merge(before.model_dump(), changes))


def stages_due(config):
    return {stage for stage in STAGES if due.reasons(config, stage, RUN)}


def test_what_was_made_with_these_settings_is_not_due_however_its_path_is_spelt(made, tmp_path, monkeypatch):
    assert stages_due(made) == set()
    monkeypatch.chdir(tmp_path)
    assert stages_due(changed(made, root=".", data="data")) == set()
    Path(tmp_path / "elsewhere").symlink_to(tmp_path)
    assert stages_due(changed(made, root="elsewhere", data="elsewhere/data")) == set()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"split": {"seed": 1}}, {"split", "train"}),
        ({"embedding": {"precision": "mixed_bfloat16"}}, {"embed", "train"}),
        ({"embedding": {"weights": "random", "seed": 3}}, {"embed", "train"}),
        ({"images_per_shard": 16}, {"ingest", "embed", "train"}),
        ({"limit": 9}, {"ingest", "train"}),
        ({"training": {"epochs": 3}}, {"train"}),
        ({"training": {"epochs": 1}}, {"train"}),
        ({"training": {"precision": "mixed_bfloat16"}}, {"train"}),
        ({"architectures": {"dot": {"encoder": "8/2 4/2 4/2"}}}, {"train"}),
        ({"evaluation": {"weights": "last"}}, {"evaluate"}),
        ({"evaluation": {"seed": 1}}, {"baselines", "evaluate"}),
        ({"evaluation": {"recognition": None}}, {"baselines", "evaluate"}),
        ({"threads": 1, "workers": 1, "training": {"checkpoint_seconds": 5}}, set()),
    ],
)
def test_each_stage_that_a_changed_setting_decides_is_due(made, change, expected):
    assert stages_due(changed(made, **change)) == expected


def test_an_artefact_of_ones_own_is_due_refused_and_made_meanwhile_like_any_other(made, monkeypatch):
    table = Paths(made).directory / "palettes.csv"
    palettes = artefacts.Artefact(
        "palettes",
        manifest=lambda paths, run: paths.directory / "palettes.json",
        settings=lambda config: {"colours": config.limit},
        table=lambda paths: paths.directory / "palettes.csv",
    )
    monkeypatch.setitem(artefacts.ARTEFACTS, "palettes", palettes)
    assert due.reasons(made, "palettes") == []
    images = Paths(made).images.manifest()["fingerprint"]
    files.write_json(table.with_suffix(".json"), {"settings": {"colours": None}, "images": images})
    assert due.reasons(made, "palettes") == []
    monkeypatch.setenv("DEEPCOLOR_SINCE", "1000000")
    assert due.made_meanwhile(made, "palettes")
    other = changed(made, limit=9)
    assert "colours: None, now 9" in due.reasons(other, "palettes")
    assert not due.made_meanwhile(other, "palettes")
    with pytest.raises(InputError, match=r"palettes\.csv .*colours: None, now 9"):
        check.check_data(other)
    files.write_json(table.with_suffix(".json"), {"settings": {"colours": None}, "images": "other"})
    assert [each.partition(":")[0] for each in due.reasons(made, "palettes")] == ["data.images"]


def test_another_seed_of_random_embeddings_is_due(made):
    random = changed(made, embedding={"weights": "random"})
    (difference,) = [each for each in due.reasons(random, "embed") if each.startswith("weights")]
    assert difference == "weights: 'imagenet', now 'random'"
    manifest = files.read_json(Paths(random).embeddings.manifest_path)
    files.write_json(Paths(random).embeddings.manifest_path, {**manifest, "settings": stage_settings(random, "embed")})
    assert due.reasons(random, "embed") == []
    assert due.reasons(changed(random, embedding={"seed": 1}), "embed") == ["seed: 0, now 1"]


def test_a_run_that_ended_by_itself_needs_no_more_epochs(made):
    more = changed(made, training={"epochs": 9})
    record_training(made, status="diverged in epoch 2")
    assert due.reasons(more, "train", RUN) == []
    stopping = changed(more, training={"patience": 1})
    record_training(stopping)
    assert due.reasons(stopping, "train", RUN) == []
    for patience in (2, None):  # which lets it go on
        patient = changed(stopping, training={"patience": patience})
        assert due.reasons(patient, "train", RUN) == ["epochs: 2, now 9"]
        check.check_run(patient, RUN)
    record_training(changed(stopping, training={"patience": 2}))
    assert due.reasons(stopping, "train", RUN) == ["training.patience: 2, now 1"]
    with pytest.raises(InputError, match=r"training\.patience: 2, now 1"):
        check.check_run(stopping, RUN)


def test_more_pictures_are_drawn_without_replacing_anything(made):
    more = changed(made, evaluation={"pictures": 3})
    check.check_run(more, RUN)
    assert stages_due(more) == {"evaluate"}


def test_a_finished_training_costs_nothing(made, monkeypatch):
    monkeypatch.setattr(estimate, "matrix_rate", lambda: 1e9)

    def planned(config):
        return estimate.plan(config, [("train", RUN)])[1]

    assert "about 0 seconds" in planned(made) and " 0.0 GB of disk" in planned(made)
    assert "about 0 seconds" not in planned(changed(made, training={"epochs": 3}))


def test_data_of_other_content_are_due_although_no_time_says_so(made):
    paths = Paths(made)
    for stage in ("ingest", "embed", "split"):
        path = artefacts.manifest(paths, stage)
        status, manifest = path.stat(), files.read_json(path)
        other = {"files": {"splits.csv": "other"}} if stage == "split" else {"fingerprint": "other"}
        files.write_json(path, {**manifest, **other})
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert stages_due(made) == {"embed", "split", "baselines", "train"}
    trained_on = files.read_json(artefacts.manifest(paths, "train", RUN))["settings"]["fingerprints"]
    expected = {f"data.{name}: {brief(trained_on[name])!r}, now 'other'" for name in ("images", "embeddings", "split")}
    assert {*due.reasons(made, "train", RUN)} == expected


def test_weights_of_another_training_make_the_evaluation_due(made):
    path = artefacts.manifest(Paths(made), "train", RUN)
    trained = files.read_json(path)
    trained["files"]["best.weights.h5"] = "d" * 64
    files.write_json(path, trained)
    assert stages_due(made) == {"evaluate"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_damaged_record_is_due_and_a_missing_one_is_the_workflows_matter(made, stage):
    path = artefacts.manifest(Paths(made), stage, RUN)
    if stage == "evaluate":
        path = path.with_name("run.yaml")
    path.write_bytes(path.read_bytes()[:-9])
    assert any("damaged" in reason for reason in due.reasons(made, stage, RUN))
    path.unlink()
    # Snakemake knows a folder of results, not whether a run's record is in it.
    assert bool(due.reasons(made, stage, RUN)) == (stage == "evaluate")


@pytest.mark.parametrize("stage", STAGES)
def test_only_what_was_made_since_the_workflow_began_is_left_as_it_is(made, stage, monkeypatch):
    assert not due.made_meanwhile(made, stage, RUN)
    monkeypatch.setenv("DEEPCOLOR_SINCE", "1000000")
    assert due.made_meanwhile(made, stage, RUN)
    manifest = artefacts.manifest(Paths(made), stage, RUN)
    os.utime(manifest, (999_999, 999_999))
    assert not due.made_meanwhile(made, stage, RUN)
    manifest.unlink()
    assert not due.made_meanwhile(made, stage, RUN)


def test_what_was_made_meanwhile_with_other_settings_is_made_again(made, monkeypatch):
    monkeypatch.setenv("DEEPCOLOR_SINCE", "1000000")
    assert not due.made_meanwhile(changed(made, split={"seed": 1}), "split")


def test_what_replace_takes_away_is_said_with_its_cost(made):
    where = RunFiles(Paths(made).model(RUN))
    trained = files.read_json(where.summary)["settings"]
    files.write_json(where.settings, trained)
    csv_files.write(where.history, ("epoch",), [{"epoch": 1}, {"epoch": 2}])
    replacing = changed(made, replace=True)
    for change, taken in (
        ({}, ()), ({"training": {"epochs": 1}}, ("train",)), ({"training": {"epochs": 3}}, ()),
        ({"split": {"seed": 1}}, ("train",)), ({"images_per_shard": 16}, ("ingest", "embed", "train")),
    ):  # fmt: skip
        for stage in STAGES:
            said = due.replaced_by(changed(replacing, **change), stage, RUN)
            assert bool(said) == (stage in taken)
            assert said == "" or ("2 epochs" if stage == "train" else "15 images") in said
            assert due.replaced_by(changed(made, **change), stage, RUN) == ""


def test_added_images_are_counted_for_the_runs_trained_before(made, tmp_path):
    archive = shutil.copytree(made.datasets["tiny"].path, tmp_path / "archive")
    for number, part in enumerate(("l/gray_scale.npy", "ab/ab/ab2.npy")):
        np.save(archive / part, np.concatenate([np.load(archive / part), photographs(2, seed=9)[number]]))
    ingest(KaggleSource(path=str(archive)), Paths(made).images, images_per_shard=8)
    for stage in ("embed", "split", "train"):
        assert due.reasons(made, stage, RUN) == ["the images have changed: 2 added; 15 before, now 17"]
    assert due.reasons(made, "evaluate", RUN) == []  # its results are of the images before
