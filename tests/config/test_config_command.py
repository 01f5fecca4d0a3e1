"""`config` prints what stages use."""

import yaml
from commands import invoke, prepared
from tiny import refused

CONFIG = {
    "dataset": "tiny",
    "datasets": {"tiny": {"kind": "sample"}},
    "experiments": {"one": {"architecture": "base", "learning_rate": 1e-3, "training": {"patience": 4}}},
}


def test_every_setting_of_files_options_and_the_run_is_printed(tmp_path):
    with prepared(tmp_path, CONFIG):
        done = invoke("config", "--set", "training.epochs=7", "--limit", "9")
        shown = yaml.safe_load(done.stdout)
        assert done.exit_code == 0 and (shown["limit"], shown["training"]["epochs"]) == (9, 7)
        assert shown["training"]["patience"] is None and shown["training"]["optimizer"] == "adam"
        done = invoke("config", "one_s3", "--set", "training.epochs=7")
        assert yaml.safe_load(done.stdout)["training"] == {**shown["training"], "patience": 4}
        assert done.stdout.startswith("# one_s3: architecture base, learning_rate 1e-3, ") and "seed 3" in done.stdout
        refused(invoke("config", "nothing"), "run name 'nothing'")
