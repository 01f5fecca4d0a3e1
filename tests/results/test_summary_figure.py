"""The figure of all runs: which runs are drawn, and where."""

import math

from PIL import Image
from summaries import put

from pipeline.config.runs import Run
from pipeline.figures import sweeps
from pipeline.results.summary import write_summary


def test_the_sweep_is_of_the_validation_scores_of_all_named_runs(tmp_path, drawn):
    put(tmp_path, "base_lr1e-4", 14.0)
    put(tmp_path, "arch1_lr1e-2_l2-0_bs3_s4_noembed", math.nan)
    put(tmp_path, "my own folder", 16.0)
    put(tmp_path, "arch2_lr1e-3", 13.0, info={"epochs": 0})  # only scored: its learning rate was never used
    write_summary(tmp_path)
    ((path, points, lines),) = drawn
    assert path == tmp_path / "sweep.png"
    assert lines["majority", "accuracy"] == 0.51
    assert (lines["mean", "ciede2000"], lines["gray", "ciede2000"]) == (10.5, 11.0)
    found = ((0.61239, None, None), (9.5, None, None))
    names = ("arch1_lr1e-2_l2-0_bs3_s4_noembed", "base_lr1e-4")
    assert points == [sweeps.SweepPoint(name, Run.parse(name), found) for name in names]


def test_runs_of_other_epochs_or_training_settings_are_marked(tmp_path, drawn):
    def info(epochs, **training):
        return {"configuration": {"training": {"epochs": epochs}}, "settings": {"training": training}, "epochs": epochs}

    put(tmp_path, "base_lr1e-4", 14.0, info=info(6))
    put(tmp_path, "arch1_lr1e-2", 14.0, info=info(6) | {"architecture": {"encoder": "4"}})
    put(tmp_path, "arch2_lr1e-2", 14.0, info=info(2))
    put(tmp_path, "arch3_lr1e-2", 14.0, info=info(6, mirror=True))
    put(tmp_path, "base_lr1e-3", 14.0, info=info(6) | {"weights_evaluated": "last"})
    write_summary(tmp_path)
    ((_, points, _),) = drawn
    assert [point.name for point in points if point.differs] == ["arch2_lr1e-2", "arch3_lr1e-2", "base_lr1e-3"]


def test_each_dataset_has_its_own_sweep_and_old_ones_go(tmp_path, drawn):
    (tmp_path / "sweep_old.png").touch()
    (tmp_path / "sweep_old.svg").touch()
    (tmp_path / "sweep_notes.txt").touch()
    put(tmp_path, "sweep_lr2.5e-4", 14.0, dataset="kaggle", info={"dataset": "kaggle"})
    put(tmp_path, "base_lr1e-4", 14.0)
    write_summary(tmp_path)
    assert sorted(path.name for path, _, _ in drawn) == ["sweep_kaggle.png", "sweep_sample.png"]
    assert sorted(path.name for path in tmp_path.glob("sweep*")) == ["sweep_lr2.5e-4", "sweep_notes.txt"]


def test_the_sweep_is_drawn_as_picture_and_vector(tmp_path):
    for run, error in (("base_lr1e-4", 14.0), ("base_lr1e-3", 15.0), ("base_lr1e-1", math.nan)):
        put(tmp_path, run, error)
    write_summary(tmp_path)
    with Image.open(tmp_path / "sweep.png") as picture:
        assert picture.size[0] > 300 and len(picture.convert("L").getcolors()) > 10
    assert (tmp_path / "sweep.svg").read_text().rstrip().endswith("</svg>")
    before = {kind: (tmp_path / f"sweep.{kind}").read_bytes() for kind in ("png", "svg")}
    write_summary(tmp_path)
    assert before == {kind: (tmp_path / f"sweep.{kind}").read_bytes() for kind in ("png", "svg")}
