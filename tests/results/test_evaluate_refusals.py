"""Evaluation refuses what does not fit together, and replaces results completely or not at all."""

import pytest
import yaml
from evaluations import RUN, evaluate, result_of
from tiny import RESULT_FILES, rows_of, tree, write_embeddings

from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.results.record import headline


@pytest.mark.slow
def test_other_settings_replace_an_evaluation_only_if_asked(own, undrawn):
    dataset, directory = own
    before = tree(directory)
    with pytest.raises(InputError, match=r"\(evaluation\.batch_size: 3, now 16\).*--replace"):
        evaluate(dataset, directory, batch_size=16, pictures=1)
    assert tree(directory) == before
    rows = rows_of(result_of(directory) / "metrics.csv")
    (result_of(directory) / "notes.md").write_text("mine")
    after = rows_of(evaluate(dataset, directory, batch_size=16, pictures=1, replace=True) / "metrics.csv")
    assert len(after) == len(rows)
    for one, two in zip(rows, after, strict=True):
        # Another batch size rounds otherwise: that is all.
        assert one | {"value": 0, "low": 0, "high": 0} == two | {"value": 0, "low": 0, "high": 0}
        for name in ("value", "low", "high"):
            assert (one[name] == "") == (two[name] == "")
            if one[name]:
                assert float(one[name]) == pytest.approx(float(two[name]), rel=1e-4, abs=1e-6), one
    record = yaml.safe_load((result_of(directory) / "run.yaml").read_text())
    assert record["configuration"]["evaluation"]["batch_size"] == 16
    assert (result_of(directory) / "notes.md").read_text() == "mine"
    assert "notes.md" not in files.read_listing(result_of(directory))


def test_another_seed_needs_other_baselines(own):
    dataset, directory = own
    with pytest.raises(InputError, match=r"baselines\.csv .*\bsplit\b.*\bbaselines\b"):
        evaluate(dataset, directory, seed=1, replace=True)


@pytest.mark.parametrize("broken", ["images.jpeg.write_jpeg", "results.model_card.write"])
def test_a_failure_leaves_the_old_results(own, undrawn, monkeypatch, broken):
    dataset, directory = own
    before = tree(result_of(directory).parent)
    monkeypatch.setattr(f"pipeline.{broken}", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        evaluate(dataset, directory)
    assert tree(result_of(directory).parent) == before


def test_embeddings_of_other_images_are_refused(own):
    dataset, directory = own
    manifest = files.read_json(dataset.embeddings.manifest_path)
    files.write_json(dataset.embeddings.manifest_path, {**manifest, "images": "others"})
    with pytest.raises(InputError, match=r"\bothers\b.*\bembed\b"):
        evaluate(dataset, directory)


def test_a_run_trained_on_other_embeddings_is_refused(own):
    dataset, directory = own
    before = tree(directory)
    write_embeddings(dataset.images, dataset.embeddings.path, seed=5)
    with pytest.raises(InputError, match=r"\(data\.embeddings: '\w{8}…', now '\w{8}…'\)"):
        evaluate(dataset, directory)
    assert tree(directory) == before


@pytest.mark.parametrize("name", ["best.weights.h5", "last.weights.h5", "history.csv"])
def test_a_changed_or_missing_file_of_the_run_is_refused(own, name):
    dataset, directory = own
    path = directory / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"{name} is damaged: .*; run `python -m stages verify`"):
        evaluate(dataset, directory)
    path.unlink()
    with pytest.raises(InputError, match=rf"{name} is missing: .*; run `python -m stages verify`"):
        evaluate(dataset, directory)


def test_references_of_other_images_are_refused(own):
    dataset, directory = own
    path = dataset.baselines.with_suffix(".json")
    files.write_json(path, {**files.read_json(path), "images": "others"})
    with pytest.raises(InputError, match=r"images: 'others', now '\w{8}…'\); run baselines again"):
        evaluate(dataset, directory)
    path.unlink()
    with pytest.raises(InputError, match=r"baselines\.json\b"):
        evaluate(dataset, directory)


def test_results_come_whole_and_once(own, undrawn):
    dataset, directory = own
    old = directory / "evaluation" / files.LISTING  # where an earlier version put the scores first
    files.write_json(old, {"files": {}})
    (result_of(directory) / "stray").touch()
    target = evaluate(dataset, directory)
    assert not old.parent.exists()
    assert {path.name for path in target.iterdir()} == {*RESULT_FILES, "stray"}  # which is nothing of ours
    listed = files.read_json(target / files.LISTING)["files"]
    (target / "stray").unlink()
    assert listed == files.digests(target) and listed.keys() == tree(target).keys() - {files.LISTING}
    assert (target / "history.csv").read_bytes() == (directory / "history.csv").read_bytes()
    assert len(list((target / "pictures").iterdir())) == 10
    assert sorted(path.name for path in target.parent.iterdir()) == [
        ".summary.lock", RUN, "summary.csv", "summary.json", "summary.md", "summary.parquet", "sweep.png", "sweep.svg"
    ]  # fmt: skip
    told = headline(target).splitlines()
    assert told[0] == f"{RUN}, test images:" and told[1].startswith("  RMSE ")


def test_damaged_results_are_no_reason_to_refuse_other_settings(own, undrawn):
    dataset, directory = own
    path = result_of(directory) / "run.yaml"
    path.write_text(path.read_text().replace("pictures: 2", "pictures: 5"))
    evaluate(dataset, directory)
    assert yaml.safe_load(path.read_text())["configuration"]["evaluation"]["pictures"] == 2


def test_no_headline_without_results(tmp_path):
    with pytest.raises(InputError, match=r"base_lr1e-4: .*run\.yaml"):
        headline(tmp_path / "base_lr1e-4")


def test_a_run_that_was_not_trained_is_refused(own):
    dataset, directory = own
    with pytest.raises(InputError, match=r"dot_lr1e-3.training\.json\b"):
        evaluate(dataset, directory.with_name("dot_lr1e-3"), "dot_lr1e-3")
    assert not result_of(directory).with_name("dot_lr1e-3").exists()
