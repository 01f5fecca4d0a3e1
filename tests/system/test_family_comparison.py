"""The systems around the paper: every experiment is a run of the family, with a page of its own."""

import re

from tiny import ROOT

from docs import family
from pipeline.config import loading
from pipeline.config.runs import find, layered
from pipeline.config.sweeps import runs_of
from pipeline.evaluation import untrained
from pipeline.networks.notation import of_run


def test_every_run_of_the_family_can_be_trained_and_is_described():
    files = loading.with_experiment_files({}, ROOT / "config" / "experiments")
    config = loading.load_config([ROOT / path for path in family.CONFIGURATION], base=files)
    runs = runs_of(config, family.SWEEP)
    assert {*files["experiments"]} < {*runs} and "shipped" in runs
    page = (ROOT / family.PAGE).read_text()
    for name in files["experiments"]:
        run = find(config, name)
        assert untrained.of_run(run) or of_run(run, config.architectures)
        assert f"`results/{name}`" in page
        (described,) = re.findall(rf"`results/{name}`.*\]\(family/(\w+)\.md\)", page)
        assert (ROOT / "docs" / "family" / f"{described}.md").is_file()
    assert layered(config, find(config, "zhang")).training.optimizer == "adamw"  # from its file
    assert layered(config, find(config, "zhang")).training.images == 480  # from config/family.yaml
