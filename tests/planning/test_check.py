"""Checks and estimates before any work starts."""

import shutil
from pathlib import Path

import pytest
from plans import changed, pretend_trained

from pipeline.config.paths import Paths, RunFiles
from pipeline.core import files, lost
from pipeline.core.errors import InputError
from pipeline.dataset.ingest import ingest
from pipeline.embedding import registry
from pipeline.networks import inputs
from pipeline.planning import artefacts, check, due, estimate, settings
from pipeline.storage.store import Store
from pipeline.training import checkpoints


def test_unchanged_settings_pass(planned):
    pretend_trained(planned, "dot_lr1e-3")
    check.check_data(planned)
    check.check_run(planned, "dot_lr1e-3")


def test_a_store_of_other_settings_is_named_with_what_differs_and_the_ways_out(planned):
    other = changed(planned, images_per_shard=16)
    with pytest.raises(InputError, match=r"images\.zarr .*images_per_shard: 8, now 16\).*replace=true.*data="):
        check.check_data(other)
    check.check_data(changed(other, replace=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": {"seed": 9}}, r"split\.seed: 4, now 9"),
        ({"embedding": {"activation": "softmax"}}, r"embeddings\.activation: 'logits', now 'softmax'"),
        ({"training": {"epochs": 2}}, r"epochs: 3, now 2"),
        ({"limit": 9}, r"limit: None, now 9"),
        ({"architectures": {"dot": {"encoder": "8/2 4/2 4/2"}}}, r"architecture\.encoder"),
    ],
)
def test_a_run_of_other_settings_is_named_with_what_differs(planned, change, message):
    pretend_trained(planned, "dot_lr1e-3")
    other = changed(planned, **change)
    with pytest.raises(InputError, match=message):
        check.check_run(other, "dot_lr1e-3")
    check.check_run(changed(other, replace=True), "dot_lr1e-3")


def test_an_epoch_that_was_begun_cannot_be_asked_back(planned):
    pretend_trained(planned, "dot_lr1e-3")
    begun = checkpoints.Checkpoint([], [], [], [], {"epochs": 3, "step": 2})
    checkpoints.save(RunFiles(Paths(planned).model("dot_lr1e-3")).checkpoint, begun)
    fewer = changed(planned, training={"epochs": 3})
    with pytest.raises(InputError, match=r"epochs: 4, now 3"):
        check.check_run(fewer, "dot_lr1e-3")
    check.check_run(changed(planned, training={"epochs": 4}), "dot_lr1e-3")
    assert ".replaced" in due.replaced_by(changed(fewer, replace=True), "train", "dot_lr1e-3")


def test_more_epochs_are_no_conflict(planned):
    pretend_trained(planned, "dot_lr1e-3")
    check.check_run(changed(planned, training={"epochs": 30}), "dot_lr1e-3")


def test_a_run_trained_on_other_images_is_named_before_it_is_trained_again(planned):
    pretend_trained(planned, "dot_lr1e-3", images="others")
    with pytest.raises(InputError, match=r"\(data\.images: 'others', now "):
        check.check_run(planned, "dot_lr1e-3")


def test_results_of_another_evaluation_are_not_replaced_silently(planned):
    decisive = check.check_run(planned, "dot_lr1e-3")
    record = {"configuration": {"evaluation": planned.evaluation.model_dump()}, "settings": decisive, "epochs": 3}
    path = Paths(planned).results / "dot_lr1e-3" / "run.yaml"
    files.write_text(path, files.canonical_json(record))
    check.check_run(planned, "dot_lr1e-3")
    with pytest.raises(InputError, match=r"evaluation\.weights: 'best', now 'last'"):
        check.check_run(changed(planned, evaluation={"weights": "last"}), "dot_lr1e-3")
    with pytest.raises(InputError, match=r"start_at: 'mean', now 'zeros'"):
        check.check_run(changed(planned, training={"start_at": "zeros"}), "dot_lr1e-3")
    with pytest.raises(InputError, match="epochs: 3, now 2"):
        check.check_run(changed(planned, training={"epochs": 2}), "dot_lr1e-3")


def test_a_lost_shard_is_noted_for_the_rule_that_makes_it(planned, caplog):
    store = Paths(planned).images
    check.check_data(planned)
    assert lost.notes(store.path) == []
    kept = store.shard_file("ab", 1).rename(store.path.parent / "kept")
    check.check_data(planned)
    note = lost.path_of(store.path)
    assert lost.notes(store.path) == [str(note)]
    assert "shards [1]" in caplog.text and "[1]" in note.read_text()
    assert note.stat().st_mtime_ns > store.manifest_path.stat().st_mtime_ns
    # The disk was only away: nothing has to be made again.
    kept.rename(store.shard_file("ab", 1))
    check.check_data(planned)
    assert lost.notes(store.path) == []


def test_a_deleted_store_is_noted_and_a_note_that_was_followed_stays(planned):
    store = Paths(planned).images
    shutil.rmtree(store.path)
    check.check_data(planned)
    assert lost.notes(store.path)
    ingest(planned.datasets["tiny"], store, images_per_shard=8)
    check.check_data(planned)
    assert lost.notes(store.path)
    assert lost.path_of(store.path).stat().st_mtime_ns < store.manifest_path.stat().st_mtime_ns


def test_fewer_images_than_there_are_is_refused_before_ingest(planned):
    with pytest.raises(InputError, match=r"images\.zarr .*\(images: 12, now 9\)"):
        check.check_data(changed(planned, limit=9))
    check.check_data(changed(planned, limit=9, replace=True))


@pytest.mark.parametrize("key", ["data", "root"])
@pytest.mark.parametrize("below", ["", "new/folder"])
def test_a_file_in_a_folders_place_is_refused(planned, tmp_path, key, below):
    for file in (tmp_path / "file", Path("/dev/null")):
        file.touch()
        with pytest.raises(InputError, match=rf"^{key}: .*{file} is a file"):
            check.check_data(changed(planned, **{key: str(file / below)}))


def test_an_architecture_that_cannot_be_is_refused_before_any_run_asks_for_it(planned):
    with pytest.raises(InputError, match="architecture odd, encoder"):
        check.check_data(changed(planned, architectures={"odd": {"encoder": "x", "fusion": "1x1:4", "decoder": "2"}}))


JOBS = [("embed", None), ("train", "dot_lr1e-3"), ("evaluate", "dot_lr1e-3")]


def test_the_plan_names_images_jobs_time_disk_memory_and_random_weights(planned):
    random = changed(planned, embedding={"weights": "random"})
    text = "\n".join(estimate.plan(random, JOBS))
    assert "12 images; 3 jobs (1 embed, 1 train, 1 evaluate)" in text
    for part in ("seconds", "GB of disk", "GB of memory", "RANDOM"):
        assert part in text
    assert estimate.plan(planned, []) == []


def test_a_longer_experiment_is_planned_to_take_longer(planned, monkeypatch):
    monkeypatch.setattr(estimate, "matrix_rate", lambda: 1e11)
    monkeypatch.setattr(estimate.os, "cpu_count", lambda: 2)
    paper = changed(planned, training={"epochs": 2500})
    (_, line, *_) = estimate.plan(paper, [("train", "base_lr1e-4")])
    # 12 images x 2500 epochs x (0.6 x 44 + 0.2 x 14.7) GFLOP at 75 GFLOP/s.
    assert "about 3 hours" in line
    pretend_trained(paper, "base_lr1e-4", epochs=2499)
    (_, line, *_) = estimate.plan(paper, [("train", "base_lr1e-4")])
    assert "seconds" in line


def test_a_disk_that_is_too_small_stops_the_work(planned, monkeypatch):
    monkeypatch.setattr(estimate.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(InputError, match=r" GB .* 0\.0 GB .*data and root"):
        estimate.plan(planned, JOBS)


@pytest.fixture
def on_maps(planned, monkeypatch):
    """A configuration whose run `dot-on-maps` reads two feature maps of EfficientNet-Lite0."""
    monkeypatch.setitem(inputs.INPUTS, "maps", inputs.Input("maps", (24,), "float32", _of_maps, ("map_7", "map_56")))
    layers = {"encoder": "4/2 4/2 4/2", "fusion": "1x1:4", "decoder": "4 ^ 4 ^ 2 ^"}
    return changed(planned, architectures={"dot-on-maps": {**layers, "inputs": ["L", "maps"]}})


def _of_maps(batch):
    return batch.embedded["map_56"][:, 0, 0] + batch.embedded["map_7"][:, 0, 0, :24]


ON_MAPS = "dot-on-maps_lr1e-3"


def test_the_maps_of_a_run_are_those_that_its_inputs_read(on_maps):
    assert settings.maps_of_run(on_maps, ON_MAPS) == ("map_56", "map_7")
    assert settings.maps_of_run(on_maps, f"{ON_MAPS}_noembed") == settings.maps_of_run(on_maps, "dot_lr1e-3") == ()
    assert settings.maps_to_store(on_maps, ["map_7"]) == ("map_7",)
    assert settings.maps_to_store(on_maps, []) == ("map_56", "map_28", "map_14", "map_7")
    other = changed(on_maps, embedding={"network": "inception_resnet_v2"})
    with pytest.raises(InputError, match=r"Inception-ResNet-v2.*map_7, map_56"):
        check.check_run(other, ON_MAPS)
    check.check_run(other, "dot_lr1e-3")


def test_maps_of_other_settings_are_refused_only_for_runs_that_read_maps(on_maps):
    store = Store(Paths(on_maps).features.path, registry.ENTRIES["efficientnet_lite0"].layout(["map_7"]))
    made_with = {**artefacts.stage_settings(on_maps, "embed"), "outputs": ["map_7"]}
    store.create(12, 8, {"settings": made_with})
    assert settings.maps_to_store(on_maps, ["map_56"]) == ("map_56", "map_7")
    check.check_run(on_maps, ON_MAPS)
    other = changed(on_maps, embedding={"batch_size": 2})
    with pytest.raises(InputError, match=r"features\.zarr .*\(batch_size: 16, now 2\).*replace=true"):
        check.check_run(other, ON_MAPS)
    check.check_run(changed(other, replace=True), ON_MAPS)
    check.check_data(other)
    assert due.replaced_by(other, "features", maps=("map_7",)) == ""
    assert due.replaced_by(changed(on_maps, replace=True), "features", maps=("map_7",)) == ""
    taken = due.replaced_by(changed(other, replace=True), "features", maps=("map_7",))
    assert taken.startswith(f"{store.path} (12 images)")
    check.check_run(other, "dot_lr1e-3")


def test_the_plan_includes_the_disk_of_feature_maps_and_of_their_mapped_copy(on_maps, monkeypatch):
    monkeypatch.setattr(estimate, "matrix_rate", lambda: 1e11)
    monkeypatch.setattr(estimate, "count_images", lambda config: 100_000)

    def disk(config, *rules):
        jobs = [(rule, ON_MAPS if rule == "train" else None) for rule in rules]
        (line,) = [line for line in estimate.plan(config, jobs) if "GB of disk" in line]
        return float(line.split(" GB of disk")[0].split()[-1])

    monkeypatch.setattr(estimate.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**15, 0, 10**15))
    maps = 2 * (56 * 56 * 24 + 7 * 7 * 320) / 1e4  # of 100,000 images, in GB
    mapped = 0.8 * (maps + 3 * 224**2 / 1e4)
    much, little = (changed(on_maps, training={"memory_gib": gib}) for gib in (1000, 8))
    assert disk(much, "features", "train") == pytest.approx(maps + 0.35, abs=0.1)
    assert disk(little, "features", "train") == pytest.approx(maps + mapped + 0.35, abs=0.1)
    assert disk(much, "features") == pytest.approx(maps + 2 * (28 * 28 * 40 + 14 * 14 * 112) / 1e4, abs=0.1)
    assert disk(much, "train") == pytest.approx(0.35, abs=0.1)
