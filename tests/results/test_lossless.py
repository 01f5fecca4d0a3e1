"""A run's pictures as PNG: the pixels that evaluation measures, whole or not at all."""

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


def written(dataset, directory, folder, partition="test", **options):
    from pipeline.results import run_predictor

    loaded = run_predictor.load(
        Run.parse(RUN), *dataset.sources, dataset.baselines, directory, Evaluation(batch_size=3),
        more_architectures=DOT,
    )  # fmt: skip
    return lossless.write(loaded, RUN, partition, folder, batch_size=3, threads=2, **options)


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
    assert set(files.read_listing(out)) == names | {lossless.MANIFEST}
    facts = files.read_json(out / lossless.MANIFEST)
    assert (facts["run"], facts["images"], facts["partition"]) == (RUN, 10, "test")
    assert facts["weights_sha256"] == files.digest_file(directory / "best.weights.h5")
    again = tmp_path / "again"
    written(dataset, directory, again)
    assert files.digests(again) == files.digests(out)


def test_only_their_own_folder_is_replaced_and_nothing_is_half_written(own, tmp_path):
    from pipeline.networks import builder

    dataset, directory = own
    out = tmp_path / "out"
    written(dataset, directory, out)
    (out / "note.txt").write_text("mine")
    before = files.digests(out)
    with pytest.raises(InputError, match=r"out exists; add --replace"):
        written(dataset, directory, out)
    model = builder.build("dot", l2=0.1, architectures=DOT)
    model.set_weights([np.full_like(each, np.nan) for each in model.get_weights()])
    plant(directory, model)
    with pytest.raises(InputError, match="not finite"):
        written(dataset, directory, out, replace=True)
    assert files.digests(out) == before and not [path for path in tmp_path.iterdir() if path.name.startswith(".out")]
    with pytest.raises(InputError, match=r"own exists; expected a folder of pictures"):
        written(dataset, directory, tmp_path / "own", replace=True)


def test_validation_images_replace_test_images_and_ones_own_files_stay(own, tmp_path):
    dataset, directory = own
    out = tmp_path / "out"
    written(dataset, directory, out)
    (out / "note.txt").write_text("mine")
    assert written(dataset, directory, out, "validation", replace=True) == 2
    assert {path.stem for path in (out / "true").iterdir()} == {f"{row:06d}" for row in dataset.rows("validation")}
    assert (out / "note.txt").read_text() == "mine"
