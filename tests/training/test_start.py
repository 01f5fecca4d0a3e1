"""Training that starts from a saved network: its weights, its record, what is refused, and resuming to the bit."""

import shutil

import numpy as np
import pytest
import yaml
from tiny import DOT, ROOT
from tiny_training import DOT_RUN, Interrupted, StopsAfter, assert_same, bytes_of, run_training

from pipeline.config import start
from pipeline.config.paths import SHIPPED
from pipeline.config.schema import Training
from pipeline.core import files
from pipeline.core.errors import InputError


@pytest.fixture
def saved(keras, tmp_path):
    """Saves a network in a folder like results/<run>, and returns the folder."""

    def saved(name="donor", architecture="dot", record=None, **options):
        from pipeline.networks import builder, saving

        more = {**DOT, "wide": DOT["dot"].model_copy(update={"encoder": "4/2 6/2 4/2"}),
                "narrow": DOT["dot"].model_copy(update={"encoder": "4/2 4/2 4/2 4"}),
                "smooth": DOT["dot"].model_copy(update={"upsampling": "bilinear"}),
                "tanh": DOT["dot"].model_copy(update={"head": "tanh"})}  # fmt: skip
        model = builder.build(architecture, seed=7, start_at=(131.0, 142.0), architectures=more, **options)
        folder = tmp_path / "results" / name
        saving.save(builder.with_decoding(model, builder.choose(more[architecture].head)), folder / "model.keras")
        if record:
            (folder / "run.yaml").write_text(yaml.safe_dump(record))
        files.write_listing(folder)
        return folder

    return saved


@pytest.fixture
def train(keras, dataset, tmp_path):
    def train(folder="run", name=DOT_RUN, **options):
        return run_training(dataset, tmp_path / "models" / folder, name, **options)

    return train


def last(directory, which="last", **options):
    from pipeline.networks import builder

    model = builder.build("dot", architectures=DOT, **options)
    model.load_weights(directory / f"{which}.weights.h5")
    return model


def test_training_starts_from_all_weights_of_the_saved_network(train, saved):
    from pipeline.networks import saving

    donor = saved()
    network = saving.load(donor / "model.keras")
    hardly = last(train(name="dot_lr1e-9_l2-0", epochs=1, start_from=str(donor)))
    for layer in filter(lambda layer: layer.weights, hardly.layers):
        for mine, theirs in zip(layer.get_weights(), network.get_layer(layer.name).get_weights(), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-6, err_msg=layer.name)
    np.testing.assert_allclose(hardly.get_layer("ab").bias, (131, 142), atol=1e-4)


def test_batch_normalisations_stay_as_they_were(keras):
    from pipeline.networks import builder, transfer

    more = {"normal": DOT["dot"].model_copy(update={"normalisation": "batch"})}
    model = builder.build("normal", embedding=False, architectures=more)
    transfer.keep_statistics(model)
    builder.compile_to_train(model, builder.choose(more["normal"].head), keras.optimizers.Adam(0.1))
    before = {layer.name: layer.get_weights() for layer in model.layers}
    draws = np.random.default_rng(0)
    lightness, ab = (draws.integers(0, 256, (4, 224, 224, channels), np.uint8) for channels in (1, 2))
    model.train_on_batch({"L": lightness}, ab)
    changed = {
        layer.name
        for layer in model.layers
        if any((one != other).any() for one, other in zip(layer.get_weights(), before[layer.name], strict=True))
    }
    assert "ab" in changed and not any("normalisation" in name for name in changed)


def test_the_start_is_the_best_where_no_epoch_is_better(train, saved):
    from pipeline.networks import saving

    donor = saved()
    directory = train(name="dot_lr1e0_l2-0", epochs=3, start_from=str(donor), patience=2)
    told = files.read_json(directory / "training.json")
    assert (told["best_epoch"], told["epochs"], told["status"]) == (0, 2, "finished")
    best, network = last(directory, "best"), saving.load(donor / "model.keras")
    for mine, theirs in zip(best.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_the_network_is_kept_and_its_digest_belongs_to_the_run(train, saved):
    donor = saved()
    directory = train(epochs=1, start_from=str(donor))
    digest = files.digest_file(donor / "model.keras")
    assert (directory / "start.keras").read_bytes() == (donor / "model.keras").read_bytes()
    told = files.read_json(directory / "training.json")
    assert told["files"]["start.keras"] == digest
    assert told["settings"]["training"]["start_from"] == f"sha256:{digest}"
    assert "start_at" not in told["settings"]["training"]
    before = bytes_of(directory)
    moved = donor.rename(donor.with_name("elsewhere"))
    train(epochs=1, start_from=str(moved))  # finds itself finished
    for other, received in ((str(saved("other", l2=0.5)), r"\w{8}…"), (None, "None")):
        with pytest.raises(InputError, match=rf"training\.start_from: '\w{{8}}…', now '?{received}"):
            train(epochs=1, start_from=other)
    assert bytes_of(directory) == before


@pytest.mark.slow
@pytest.mark.parametrize("more", [{"mirror": True, "schedule": "cosine", "optimizer": "adamw"}, {"ema_decay": 0.5}])
def test_an_interrupted_run_resumes_to_the_same_bytes(train, saved, monkeypatch, more):
    monkeypatch.setitem(DOT, "normal", DOT["dot"].model_copy(update={"normalisation": "batch"}))
    start_from = str(saved(architecture="normal"))
    options = {"name": "normal_lr1e-3_bs4", "epochs": 3, "start_from": start_from, **more}
    whole = train("whole", **options)
    for steps in (2, 2):  # at the end of the first epoch's steps, and of the second's
        with pytest.raises(Interrupted):
            train("resumed", checkpoint_seconds=0.0, progress=StopsAfter(steps), **options)
    resumed = train("resumed", **options)
    assert_same(resumed, whole)
    assert (resumed / "start.keras").read_bytes() == (whole / "start.keras").read_bytes()


@pytest.mark.slow
def test_a_run_that_trains_its_batch_normalisations_goes_on_doing_so(train, saved, monkeypatch):
    """Earlier versions trained them, and their checkpoints hold the optimizer's moments of them."""
    from pipeline.networks import transfer

    monkeypatch.setitem(DOT, "normal", DOT["dot"].model_copy(update={"normalisation": "batch"}))
    run = {"name": "normal_lr1e-1_l2-0_bs4", "start_from": str(saved(architecture="normal"))}
    frozen = train("frozen", epochs=2, **run)
    with monkeypatch.context() as earlier:
        earlier.setattr(transfer, "keep_statistics", lambda model: None)
        whole = train("whole", epochs=2, **run)
        train("resumed", epochs=1, **run)
    assert_same(train("resumed", epochs=2, **run), whole)
    with pytest.raises(AssertionError):
        assert_same(frozen, whole)


@pytest.mark.parametrize(
    ("donor", "part"),
    [
        ({"architecture": "wide"}, "encoder_2"),
        ({"architecture": "narrow"}, "encoder_4"),
        ({"architecture": "smooth"}, "ab: 'Conv2D"),
        ({"architecture": "tanh"}, "ab: 'Rescaling'"),
        ({"embedding": False}, "embedding"),
        ({"outputs": {"embedding": (6,)}}, "embedding"),
    ],
    ids=str,
)
def test_another_network_is_refused_before_the_run_exists(train, saved, tmp_path, donor, part):
    folder = saved(**donor)
    with pytest.raises(InputError, match=rf"^training\.start_from: .*{folder}/model\.keras") as caught:
        train(start_from=str(folder))
    assert part in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "models").exists()


def test_a_network_that_was_trained_on_other_embeddings_is_refused(train, saved, dataset, tmp_path):
    made = dataset.embeddings.manifest()["settings"]
    same = saved(record={"embedding": {**made, "batch_size": 3, "images_per_shard": 16}})
    train("same", epochs=1, start_from=str(same))
    other = saved("other", record={"embedding": {**made, "activation": "softmax"}})
    with pytest.raises(InputError, match=r"^training\.start_from: .*activation: 'softmax'"):
        train("other", start_from=str(other))
    assert not (tmp_path / "models" / "other").exists()


def test_a_network_whose_training_diverged_is_refused(train, saved, tmp_path):
    donor = saved(record={"status": "diverged in epoch 2", "epochs": 2, "best_epoch": 0})
    with pytest.raises(InputError, match=rf"^training\.start_from: {donor}/model\.keras: .*diverged"):
        train(start_from=str(donor))
    assert not (tmp_path / "models").exists()


def test_a_network_that_is_missing_or_damaged_is_refused(train, saved, tmp_path):
    with pytest.raises(InputError, match=rf"^training\.start_from: .*{tmp_path}/nothing/model\.keras"):
        train(start_from=str(tmp_path / "nothing"))
    folder = saved()
    content = bytearray((folder / "model.keras").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.keras").write_bytes(content)
    with pytest.raises(InputError, match=r"^training\.start_from: .*model\.keras is damaged"):
        train(start_from=str(folder))
    alone = shutil.copytree(folder, tmp_path / "alone", ignore=shutil.ignore_patterns("files.json"))
    (alone / "model.keras").write_bytes(b"PK")
    with pytest.raises(InputError, match=rf"^training\.start_from: {alone}/model\.keras"):
        train(start_from=str(alone))
    assert not (tmp_path / "models").exists()


def test_shipped_names_the_folder_that_comes_with_the_library():
    assert ROOT / "pipeline" / "weights" / "model.keras" == start.model_file("shipped") == SHIPPED / "model.keras"
    assert start.with_digest(Training()) == Training()
