"""Before any work starts, the network whose weights training starts from is known by its content."""

import pytest
from tiny import DOT

from pipeline.config import schema
from pipeline.config.paths import Paths
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.planning import check

RUN = "dot_lr1e-3"


def test_a_run_is_refused_if_the_network_that_it_starts_from_is_missing_or_another_one(tmp_path):
    donor = tmp_path / "donor" / "model.keras"
    training = schema.Training(start_from=str(donor.parent))
    chosen = schema.Config(root=str(tmp_path), data=str(tmp_path / "data"), architectures=DOT, training=training)
    with pytest.raises(InputError, match=rf"^training\.start_from: .*{donor}"):
        check.check_run(chosen, RUN)
    donor.parent.mkdir()
    donor.write_bytes(b"one")
    made_with = check.check_run(chosen, RUN)
    assert made_with["training"]["start_from"] == f"sha256:{files.digest_bytes(b'one')}"
    del made_with["epochs"]
    files.write_json(Paths(chosen).model(RUN) / "settings.json", {**made_with, "fingerprints": {}})
    elsewhere = donor.parent.rename(tmp_path / "elsewhere")
    moved = chosen.model_copy(update={"training": training.model_copy(update={"start_from": str(elsewhere)})})
    assert check.check_run(moved, RUN) == {**made_with, "epochs": 2}
    (elsewhere / "model.keras").write_bytes(b"other")
    with pytest.raises(InputError, match=r"training\.start_from: '\w{8}…', now '\w{8}…'"):
        check.check_run(moved, RUN)
