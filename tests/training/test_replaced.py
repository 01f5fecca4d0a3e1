"""Replaced trainings are kept beside, with what they cost, until `clean` deletes them."""

import yaml
from click.testing import CliRunner
from tiny import tree

from pipeline.training import replaced
from stages.__main__ import main


def training(directory, text, seconds=(3600.0, 7200.0)):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "history.csv").write_text("epoch,loss\n" + "".join(f"{n},0\n" for n in range(1, len(seconds) + 1)))
    (directory / "times.csv").write_text("epoch,seconds\n" + "".join(f"{n},{s}\n" for n, s in enumerate(seconds, 1)))
    (directory / "best.weights.h5").write_text(text)
    return directory


def test_every_replaced_training_is_kept(tmp_path):
    for text in ("a", "b", "c"):
        replaced.move(training(tmp_path / "run", text))
    assert [(path.name, (path / "best.weights.h5").read_text()) for path in replaced.kept(tmp_path)] == [
        ("run", "a"), ("run.2", "b"), ("run.3", "c")
    ]  # fmt: skip


def test_the_cost_is_that_of_its_epochs(tmp_path):
    assert replaced.cost(training(tmp_path / "run", "")) == "2 epochs, 3.0 hours"
    assert replaced.cost(training(tmp_path / "run", "", [30])) == "1 epoch, 30.0 seconds"
    (tmp_path / "run" / "times.csv").unlink()
    assert replaced.cost(tmp_path / "run") == "1 epoch"
    assert replaced.cost(tmp_path / "none") == "0 epochs"


def test_clean_deletes_the_replaced_trainings_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    training(tmp_path / "models" / "run", "now")
    before = tree(tmp_path)
    (tmp_path / "root.yaml").write_text(yaml.safe_dump({"root": str(tmp_path)}))
    for name in ("run", "other"):
        replaced.move(training(tmp_path / "models" / name, "old"))
    training(tmp_path / "models" / "run", "now")
    for expected in ({"run", "other"}, set()):
        done = CliRunner().invoke(main, ["clean", "--config", "root.yaml"])
        assert done.exit_code == 0
        deleted = {name for name in ("run", "other") if f".replaced/{name} (2 epochs, 3.0 hours; " in done.stderr}
        assert deleted == expected
        assert {name: content for name, content in tree(tmp_path).items() if name != "root.yaml"} == before
    assert not (tmp_path / "models" / ".replaced").exists()
