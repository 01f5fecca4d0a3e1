"""The networks of related systems: their layers against the sources' tables, and their losses against NumPy."""

from itertools import pairwise

import numpy as np
import pytest

from pipeline.core.errors import InputError
from pipeline.networks import heads
from pipeline.networks.cost import parameters
from pipeline.networks.inputs import LATENT, ImageBatch, arrays, names_of, predict
from pipeline.networks.notation import ARCHITECTURES, parse, resolve

FAMILY = ["koalarization", "zhang", "vgg", "larsson", "vae"]
MAPS = {"map_7": (7, 7, 320), "map_14": (14, 14, 112), "map_28": (28, 28, 40), "map_56": (56, 56, 24)}


def convolutions(model):
    """Filters, kernel, stride, dilation and kind of each convolution, in order."""
    return [
        (
            layer.filters,
            layer.kernel_size[0],
            layer.strides[0],
            layer.dilation_rate[0],
            "Transpose" in type(layer).__name__,
        )
        for layer in model.layers
        if hasattr(layer, "kernel_size")
    ]


def examples(n=2, seed=0):
    rng = np.random.default_rng(seed)
    embedded = {name: rng.normal(size=(n, *shape)).astype(np.float32) for name, shape in MAPS.items()}
    ab = rng.integers(60, 200, (n, 224, 224, 2), dtype=np.uint8)
    return ImageBatch(rng.integers(0, 256, (n, 224, 224), dtype=np.uint8), embedded, ab)


@pytest.fixture
def build(keras):
    from pipeline.networks import builder

    return builder.build


@pytest.mark.parametrize("name", FAMILY)
def test_weights_are_counted_without_building(build, name):
    assert parameters(name, resolve(name), embedding=True) == build(name).count_params()


def test_koalarization_is_its_authors_table(build):
    model = build("koalarization")
    plain = [(64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 1), (256, 1)]
    decoder = [(128, 1), (64, 1), (64, 1), (32, 1), (2, 1)]
    assert convolutions(model) == [(filters, 3, stride, 1, False) for filters, stride in [*plain, *decoder]]
    widths = [1, 64, 128, 128, 256, 256, 512, 512, 256]
    count = sum(9 * before * after + after for before, after in pairwise(widths))
    count += (256 + 1000) * 256 + 256
    widths = [256, 128, 64, 64, 32, 2]
    count += sum(9 * before * after + after for before, after in pairwise(widths))
    assert model.count_params() == count == 6_573_794
    assert np.asarray(model.get_layer("L_scaled")(np.array([0.0, 127.5, 255.0]))) == pytest.approx([-1, 0, 1])
    assert model.get_layer("raw").activation.__name__ == "tanh"


def test_zhang_is_its_authors_table(build):
    model = build("zhang")
    blocks = [[64, 64], [128, 128], [256, 256, 256], *[[512] * 3] * 4]
    strides = [2, 2, 2, 1, 1, 1, 1]  # of each block's last convolution
    dilations = [1, 1, 1, 1, 2, 2, 1]
    expected = [
        (filters, 3, stride if number == len(block) else 1, dilation, False)
        for block, stride, dilation in zip(blocks, strides, dilations, strict=True)
        for number, filters in enumerate(block, 1)
    ]
    expected += [(256, 4, 2, 1, True), (256, 3, 1, 1, False), (256, 3, 1, 1, False), (313, 1, 1, 1, False)]
    assert convolutions(model) == expected
    normalised = [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]
    assert [layer.gamma.shape[0] for layer in normalised] == [64, 128, 256, 512, 512, 512, 512]
    following = [model.layers[place + 1].name for place, each in enumerate(model.layers) if each in normalised]
    assert len(following) == 7 and not any("relu" in name for name in following)  # after the activation
    assert model.count_params() == 32_240_377
    assert np.asarray(model.get_layer("L_scaled")(np.array([0.0, 127.5, 255.0]))) == pytest.approx([-50, 0, 50])
    assert predict(model, ImageBatch(np.zeros((1, 24, 32), np.uint8))).shape == (1, 6, 8, 313)


def test_a_strided_convolution_is_padded_on_both_sides(build):
    """As PyTorch and Caffe do it; TensorFlow's own padding is at the right and below only."""
    model = build("zhang")
    layer, padded = model.get_layer("encoder_2"), model.get_layer("encoder_2_padded")
    rng = np.random.default_rng(0)
    picture = rng.normal(size=(1, 6, 6, 64)).astype(np.float32)
    found = np.asarray(layer(padded(picture)))
    kernel, wide = np.asarray(layer.kernel), np.pad(picture[0], ((1, 1), (1, 1), (0, 0)))
    for row, column in ((0, 0), (2, 1)):
        window = wide[2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
        assert found[0, row, column] == pytest.approx(np.maximum(np.einsum("hwc,hwcf->f", window, kernel), 0), abs=1e-4)


def test_a_hypercolumn_has_all_maps_side_by_side(build):
    model = build("larsson")
    joined = sum(shape[-1] for shape in MAPS.values()) + 1  # and L
    (wide,) = [layer for layer in model.layers if getattr(layer, "filters", 0) == 1024]
    assert wide.kernel.shape == (1, 1, joined, 1024)
    assert model.output.shape == (None, 56, 56, 64)


def test_the_loss_of_hue_and_chroma_is_numpys(keras):
    from pipeline.networks import losses

    rng = np.random.default_rng(3)
    ab = rng.integers(0, 256, (2, 8, 8, 2)).astype(np.float32)
    logits = rng.normal(size=(2, 2, 2, 64)).astype(np.float32)
    found = np.asarray(losses.hue_and_chroma(ab, logits, scale=4, largest=128.0, hue_weight=5.0))
    small = ab.reshape(2, 2, 4, 2, 4, 2).mean(axis=(2, 4)) - 128

    def surprise(values, place):
        shares = np.exp(values) / np.exp(values).sum()
        low = int(np.floor(place))
        return -((1 - place % 1) * np.log(shares[low % 32]) + place % 1 * np.log(shares[(low + 1) % 32]))

    for index in np.ndindex(2, 2, 2):
        a, b = small[index]
        chroma, turn = np.hypot(a, b), np.arctan2(b, a) / (2 * np.pi) % 1
        of_chroma = surprise(logits[index][:32], np.clip(chroma / 4 - 0.5, 0, 31))
        of_hue = surprise(logits[index][32:], (turn * 32 - 0.5) % 32)
        assert found[index] == pytest.approx(of_chroma + 5 * chroma / 128 * of_hue, rel=1e-4)


def test_a_certain_hue_and_chroma_come_back(keras):
    head = heads.choose("hue_chroma")
    colours = np.array([[40, 0], [0, -60], [-30, 30], [20, 100]], np.float32)
    logits = np.full((1, 1, 4, 64), -30.0, np.float32)
    for place, (a, b) in enumerate(colours):
        logits[0, 0, place, int(np.hypot(a, b) / 4)] = 30
        logits[0, 0, place, 32 + int(np.arctan2(b, a) / (2 * np.pi) % 1 * 32)] = 30
    found = np.asarray(head.decode()[0](logits))[0, 0] - 128
    assert np.abs(found - colours).max() < 12  # half a bin of hue at a chroma of 100, half a bin of chroma
    unsure = logits.copy()
    unsure[..., 32:] = 0  # all hues are as likely
    assert np.abs(np.asarray(head.decode()[0](unsure)) - 128).max() < 0.01


def test_the_median_chroma_lies_where_half_of_the_probability_is_below(keras):
    shares = np.random.default_rng(5).dirichlet(np.ones(32))
    logits = np.concatenate([np.log(shares), np.eye(32)[8] * 60])[None, None, None].astype(np.float32)
    a, b = np.asarray(heads.choose("hue_chroma").decode()[0](logits))[0, 0, 0] - 128
    median = np.interp(0.5, np.cumsum([0, *shares]), np.arange(33) * 4)
    assert np.hypot(a, b) == pytest.approx(median, abs=0.01)


def test_latent_variables_learn_from_ab_in_training_only(build):
    model, batch = build("vae", l2=0.0, seed=1), examples()
    given = arrays(names_of(model), batch)
    other = {**given, "true_ab": 255 - given["true_ab"]}
    divergences = []
    for each in (given, other):
        model(each, training=True)
        divergences += map(float, model.losses)
    assert len(divergences) == 2 and divergences[0] != divergences[1] and min(divergences) > 0
    known, unknown = (np.asarray(model(each, training=False)) for each in (given, other))
    assert np.array_equal(known, unknown)


def test_draws_go_on_from_saved_variables(build):
    model, batch = build("vae", seed=1), examples()
    given = arrays(names_of(model), batch)
    saved = [variable.numpy().copy() for variable in model.variables]
    first, second = (np.asarray(model(given, training=True)) for _ in range(2))
    for variable, value in zip(model.variables, saved, strict=True):
        variable.assign(value)
    assert np.array_equal(np.asarray(model(given, training=True)), first) and not np.array_equal(first, second)


def test_noise_samples_other_answers(build):
    model, batch = build("vae", seed=1), examples()
    one = predict(model, batch)
    assert np.array_equal(one, predict(model, ImageBatch(batch.lightness, batch.embedded)))
    noise = np.random.default_rng(0).standard_normal((2, LATENT)).astype(np.float32)
    sample = predict(model, ImageBatch(batch.lightness, batch.embedded, noise=noise))
    assert np.abs(sample - one).max() > 1e-4


def test_the_divergence_is_that_of_two_normal_distributions(keras):
    from pipeline.networks.latent import Latent

    rng = np.random.default_rng(2)
    known, given = (rng.normal(size=(3, 8)).astype(np.float32) for _ in range(2))
    layer = Latent(0.5, seed=0)
    layer([known, given, np.zeros((3, 4), np.float32)], training=True)
    (mean, width), (other, spread) = ((each[:, :4], np.exp(each[:, 4:])) for each in (known, given))
    each = 0.5 * (np.log(spread / width) + (width + (mean - other) ** 2) / spread - 1)
    assert float(layer.losses[0]) == pytest.approx(0.5 * each.sum(axis=1).mean(), rel=1e-5)


@pytest.mark.parametrize("name", ["zhang", "larsson", "vae"])
def test_a_network_is_saved_and_loaded(build, name, tmp_path):
    from pipeline.networks import builder, saving

    model = builder.with_decoding(build(name, seed=3), heads.choose(resolve(name).head))
    saving.save(model, tmp_path / "model.keras")
    batch = ImageBatch(np.arange(256, dtype=np.uint8).reshape(1, 16, 16)) if name == "zhang" else examples(1)
    assert np.array_equal(predict(saving.load(tmp_path / "model.keras"), batch), predict(model, batch))


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": ["L", "map_7", "map_14", "map_28", "map_56", "noise"]},
        {"inputs": ["L", "map_7", "map_14", "map_28", "map_56"]},
        {"latent": None},
        {"latent": {"encoder": "32 ^"}},
        {"latent": {"encoder": ""}},
        {"fusion": "1x1:128/2"},
        {"fusion": "1x1:128@2"},
        {"decoder": ARCHITECTURES["vae"].decoder.replace(" 2 ^ ^", " 4x4:2^ ^")},
    ],
)
def test_an_architecture_that_cannot_be_is_refused(change):
    values = {**ARCHITECTURES["vae"].model_dump(), **change}
    with pytest.raises(InputError, match="architecture mine"):
        parse("mine", type(ARCHITECTURES["vae"]).model_validate(values))
