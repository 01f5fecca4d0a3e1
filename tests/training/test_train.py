"""Training: its numbers, its records, more epochs, other settings and early stopping."""

import logging

import numpy as np
import pytest
from tiny import DOT, write_embeddings
from tiny_training import DOT_RUN, WEIGHTS, StopsAfter, assert_same, bytes_of, history

from pipeline.core import files
from pipeline.core.errors import InputError


def weights(directory, which, name="dot", l2=1e-3):
    from pipeline.networks import builder

    model = builder.build(name, l2=l2, architectures=DOT)
    model.load_weights(directory / f"{which}.weights.h5")
    return model


def predicted(model, arrays):
    return np.asarray(model.predict_on_batch([arrays[0][..., None], arrays[2]]))


@pytest.mark.slow
def test_arch3_trains_and_is_summarised(train, dataset):
    directory = train("arch3_lr1e-4", epochs=2)
    rows = history(directory)
    header = (directory / "history.csv").read_text().splitlines()[0]
    assert header == "epoch,loss,mse,accuracy,val_loss,val_mse,val_accuracy"
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[1]["mse"] < rows[0]["mse"]
    assert all(row["loss"] > row["mse"] and row["val_loss"] > row["val_mse"] for row in rows)
    summary = files.read_json(directory / "training.json")
    assert (summary["status"], summary["epochs"]) == ("finished", 2)
    assert summary["best_epoch"] == 1 + int(np.argmin([row["val_mse"] for row in rows]))
    assert summary["settings"]["run"] == "arch3_lr1e-4"
    assert summary["settings"]["fingerprints"]["images"] == dataset.images.manifest()["fingerprint"]
    assert summary["settings"]["architecture"]["decoder"] == "^ 32 ^ 32 16 2 ^"
    assert summary["files"] == {name: files.digest_file(directory / name) for name in summary["files"]}
    assert set(summary["files"]) == set(WEIGHTS)
    assert summary["backend"] == {"keras": "tensorflow", "precision": "float32", "threads": 2}
    np.testing.assert_allclose(summary["mean_ab"], dataset.arrays("train")[1].mean(axis=(0, 1, 2)), rtol=1e-12)
    assert [line.split(",")[0] for line in (directory / "times.csv").read_text().splitlines()] == ["epoch", "1", "2"]


def test_the_history_agrees_with_numpy(three_epochs, dataset):
    row = history(three_epochs)[-1]
    model = weights(three_epochs, "last")
    truth = dataset.arrays("validation")
    answer = predicted(model, truth)
    assert row["val_accuracy"] == pytest.approx(np.mean(answer.argmax(-1) == truth[1].argmax(-1)), abs=1e-6)
    mse = np.mean((answer.astype(np.float64) - truth[1]) ** 2)
    assert row["val_mse"] == pytest.approx(mse, rel=1e-5)
    penalty = 1e-3 * sum(np.square(layer.kernel).sum() for layer in model.layers
                         if hasattr(layer, "kernel") and layer.name != "encoder_3")  # fmt: skip
    assert row["val_loss"] == pytest.approx(mse + penalty, rel=1e-5)
    assert 0 < row["accuracy"] < 1


@pytest.mark.slow
def test_best_weights_have_the_lowest_validation_mse(train, dataset):
    directory = train("dot_lr1e0_bs4", epochs=4)
    summary, rows = files.read_json(directory / "training.json"), history(directory)
    best = min(rows, key=lambda row: row["val_mse"])
    assert summary["best_epoch"] == best["epoch"] != 4
    truth = dataset.arrays("validation")
    for which, row in (("best", best), ("last", rows[-1])):
        answer = predicted(weights(directory, which, l2=0.01), truth)
        assert np.mean((answer.astype(np.float64) - truth[1]) ** 2) == pytest.approx(row["val_mse"], rel=1e-5)


@pytest.mark.slow
def test_more_epochs_continue_the_finished_run(train, three_epochs):
    assert len(history(train(epochs=1))) == 1
    assert_same(train(epochs=3), three_epochs)


def test_a_finished_run_is_not_changed(train, finished):
    before = bytes_of(finished)
    assert bytes_of(train(epochs=3, progress=StopsAfter(0))) == before


def test_lost_outputs_are_restored_from_the_checkpoint(train, finished):
    before = bytes_of(finished)
    for name in (*WEIGHTS, "training.json"):
        (finished / name).unlink()
    assert bytes_of(train(epochs=3, progress=StopsAfter(0))) == before


@pytest.mark.slow
def test_fewer_epochs_are_refused_unless_replaced(train, finished):
    before = bytes_of(finished)
    with pytest.raises(InputError, match=r"\(epochs: 3, now 2\)"):
        train(epochs=2)
    assert bytes_of(finished) == before
    train(epochs=2, replace=True)
    assert bytes_of(finished.parent / ".replaced" / "run") == before
    assert len(history(finished)) == len((finished / "times.csv").read_text().splitlines()) - 1 == 2
    assert_same(finished, train(folder="fresh", epochs=2))


@pytest.mark.slow
def test_other_settings_never_use_the_checkpoint(train, finished, caplog):
    before = bytes_of(finished)
    with pytest.raises(InputError, match=r"training\.start_at: 'mean', now 'zeros'.*--replace"):
        train(epochs=4, start_at="zeros")
    with pytest.raises(InputError, match=r"run: 'dot_lr1e-3_l2-1e-3_bs4', now 'dot_lr1e-2'"):
        train("dot_lr1e-2", epochs=4)
    assert bytes_of(finished) == before
    caplog.set_level(logging.WARNING, "deepcolor")
    train(epochs=1, start_at="zeros", replace=True)
    assert "run (3 epochs, " in caplog.text and ".replaced/run" in caplog.text
    assert "training.start_at: 'mean', now 'zeros'" in caplog.text
    assert_same(finished, train(folder="fresh", epochs=1, start_at="zeros"))


def test_other_data_never_use_the_checkpoint(train, dataset, finished):
    write_embeddings(dataset.images, dataset.embeddings.path, seed=9)
    with pytest.raises(InputError, match=r"data\.embeddings"):
        train(epochs=3)


@pytest.mark.slow
def test_patience_ends_a_run_that_no_longer_improves(train, caplog):
    directory = train("dot_lr1e0_bs4", epochs=30, patience=2)
    summary, rows = files.read_json(directory / "training.json"), history(directory)
    assert summary["status"] == "finished"
    assert summary["epochs"] == summary["best_epoch"] + 2 < 30
    assert min(rows, key=lambda row: row["val_mse"])["epoch"] == summary["best_epoch"]
    assert "no better validation MSE for 2 epochs" in caplog.text


@pytest.mark.slow
def test_more_patience_lets_a_run_go_on_that_stopped_early(train, caplog):
    def patient(patience, **options):
        return train("dot_lr1e0_bs4", epochs=30, patience=patience, **options)

    stopped = files.read_json(patient(1) / "training.json")["epochs"]
    caplog.set_level(logging.INFO, "deepcolor")
    longer = patient(3)
    assert f"resuming after epoch {stopped}" in caplog.text
    assert_same(longer, patient(3, folder="fresh"))
    with pytest.raises(InputError, match=r"training\.patience: 3, now 2"):
        patient(2)


@pytest.mark.slow
def test_little_memory_gives_the_same_weights(train, three_epochs):
    directory = train(epochs=3, memory_gib=0.0)
    assert_same(directory, three_epochs)
    assert {path.name for path in directory.iterdir()} == {
        "settings.json", "checkpoint.json", "checkpoint.npz", "checkpoint.previous.npz", "times.csv", "training.json",
        *WEIGHTS,
    }  # fmt: skip


@pytest.mark.slow
def test_the_seed_of_the_run_changes_the_run(train, three_epochs):
    other = train(DOT_RUN + "_s1", epochs=3)
    assert history(other)[0] != history(three_epochs)[0]


@pytest.mark.slow
def test_a_run_on_fewer_images_sees_only_those(train, dataset):
    means = dataset.arrays("train")[1].mean(axis=(1, 2))
    of = {
        n: np.array(files.read_json(train(folder=f"{n}", images=n, epochs=1) / "training.json")["mean_ab"])
        for n in (1, 2)
    }
    (first,) = np.flatnonzero(np.isclose(means, of[1]).all(axis=1))
    (other,) = [place for place in range(len(means)) if np.allclose(means[[first, place]].mean(axis=0), of[2])]
    assert other != first
    every = train(folder="all", images=len(means), epochs=1)
    assert files.read_json(every / "training.json")["settings"]["training"]["images"] == len(means)
    assert bytes_of(every) == bytes_of(train(folder="null", epochs=1))
    with pytest.raises(InputError, match=f"training.images: .*{len(means)} .*{len(means) + 1}"):
        train(folder="more", images=len(means) + 1)


@pytest.mark.slow
def test_a_run_without_embedding_does_not_depend_on_the_embeddings(train, dataset):
    from pipeline.networks import builder

    directory = train(f"{DOT_RUN}_noembed", epochs=1)
    model = builder.build("dot", l2=1e-3, embedding=False, architectures=DOT)
    model.load_weights(directory / "last.weights.h5")
    lightness, ab, _ = dataset.arrays("validation")
    answer = np.asarray(model.predict_on_batch([lightness[..., None]]))
    (row,) = history(directory)
    assert row["val_mse"] == pytest.approx(np.mean((answer.astype(np.float64) - ab) ** 2), rel=1e-5)
    assert answer.std() > 0
    write_embeddings(dataset.images, dataset.embeddings.path, seed=9)
    other = train(f"{DOT_RUN}_noembed", folder="other", epochs=1)
    assert bytes_of(other) == bytes_of(directory)


def test_mismatched_data_are_refused(train, dataset, tmp_path):
    originals = {path: path.read_bytes() for path in (dataset.splits, dataset.splits.with_suffix(".json"))}
    dataset.splits.write_text(dataset.splits.read_text() + "15,x,x,train\n")
    with pytest.raises(InputError, match=r"splits\.csv is damaged"):
        train()
    other = {"files": {"splits.csv": files.digest_file(dataset.splits)}, "images": "others"}
    files.write_json(dataset.splits.with_suffix(".json"), other)
    with pytest.raises(InputError, match=r"\bothers\b.*\bsplit\b"):
        train()
    for path, content in originals.items():
        path.write_bytes(content)
    manifest = files.read_json(dataset.embeddings.manifest_path)
    files.write_json(dataset.embeddings.manifest_path, {**manifest, "images": "others"})
    with pytest.raises(InputError, match=r"\bothers\b.*\bembed\b"):
        train()
    assert not (tmp_path / "models").exists()
