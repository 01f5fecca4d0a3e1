"""A run's pictures as PNG: the pixels that evaluation measures, whole or not at all."""

from dataclasses import replace

import numpy as np
import pytest
from evaluations import RUN, plant, result_of
from PIL import Image
from tiny import DOT, rows_of, shown

from pipeline.config.runs import Run
from pipeline.config.schema import Evaluation
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.results import lossless

EVALUATION = Evaluation(batch_size=3)


def loaded(dataset, directory):
    from pipeline.results import run_predictor

    given = *dataset.sources, dataset.baselines, directory, EVALUATION
    return run_predictor.load(Run.parse(RUN), *given, more_architectures=DOT)


def written(dataset, directory, folder, partition="test"):
    return lossless.write(loaded(dataset, directory), RUN, partition, folder, threads=2, evaluation=EVALUATION)


def pixels(folder, row):
    return np.asarray(Image.open(folder / f"{row:06d}.png"))


def test_they_are_what_evaluation_measures(keras, evaluated, tmp_path):
    dataset, directory = evaluated
    out, rows = tmp_path / "out", dataset.rows("test")
    assert written(dataset, directory, out) == len(rows) == 10
    lightness, ab, _ = dataset.arrays("test")
    measured = {
        int(row["row"]): float(row["value"])
        for row in rows_of(result_of(directory) / "per_image.csv")
        if (row["answer"], row["metric"], row["partition"]) == ("model", "psnr", "test")
    }
    assert sorted(measured) == rows.tolist()
    for place, row in enumerate(rows):
        true, predicted, gray = (pixels(out / kind, row) for kind in lossless.FOLDERS)
        np.testing.assert_array_equal(true, shown(lightness[place], ab[place]))
        np.testing.assert_array_equal(gray, shown(lightness[place], np.full((224, 224, 2), 128)))
        error = np.mean((true.astype(float) - predicted) ** 2)
        assert 10 * np.log10(255**2 / error) == pytest.approx(measured[row], rel=1e-12)
    names = {f"{kind}/{row:06d}.png" for kind in lossless.FOLDERS for row in rows}
    facts = files.read_json(out / lossless.MANIFEST)
    digests = files.digests(out)
    assert facts["files"] == {name: digests.pop(name) for name in names} and digests.keys() == {lossless.MANIFEST}
    assert (facts["run"], facts["images"], facts["partition"]) == (RUN, 10, "test")
    assert facts["weights_sha256"] == files.digest_file(directory / "best.weights.h5")
    assert facts["evaluation"]["weights"] == "best" and facts["evaluation"]["batch_size"] == 3
    again = tmp_path / "again"
    written(dataset, directory, again)
    assert files.digests(again) == files.digests(out)


def test_nothing_that_exists_is_replaced(keras, evaluated, tmp_path):
    dataset, directory = evaluated
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    before = sorted(tmp_path.rglob("*"))
    for name in ("folder", "file", "nowhere", "gone/..", "."):
        with pytest.raises(InputError, match=r"exists; choose another --out"):
            written(dataset, directory, tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_cannot_be_written_leaves_nothing(own, tmp_path):
    from pipeline.networks import builder

    dataset, directory = own
    out = tmp_path / "out"
    run = loaded(dataset, directory)
    run = replace(run, data=replace(run.data, scored=("validation", "test")))
    with pytest.raises(InputError, match=r"validation, test, received train; change --partition"):
        lossless.write(run, RUN, "train", out, threads=2, evaluation=EVALUATION)
    model = builder.build("dot", l2=0.1, architectures=DOT)
    model.set_weights([np.full_like(each, np.nan) for each in model.get_weights()])
    plant(directory, model)
    with pytest.raises(InputError, match="not finite"):
        written(dataset, directory, out)
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


def test_images_of_another_partition(keras, evaluated, tmp_path):
    dataset, directory = evaluated
    assert written(dataset, directory, tmp_path / "out", "validation") == 2
    rows = {f"{row:06d}" for row in dataset.rows("validation")}
    assert {path.stem for path in (tmp_path / "out" / "true").iterdir()} == rows
