"""Building networks: parameter counts, the fusion layer, dtypes, penalties, seeds, and custom architectures."""

import numpy as np
import pytest
from tiny import DOT
from tiny_training import PARAMETERS

from pipeline.config.schema import Architecture
from pipeline.core.errors import InputError
from pipeline.networks.cost import forward_flops, parameters
from pipeline.networks.notation import ARCHITECTURES, resolve

MINE = {"mine": Architecture(encoder="4/2 1x1:6", fusion="1x1:5 3x3:4", decoder="^ 4 5x5:2")}


@pytest.fixture
def build(keras):
    from pipeline.networks import builder

    return builder.build


def inputs(n=2, height=16, width=24, seed=0):
    rng = np.random.default_rng(seed)
    embedding = rng.normal(size=(n, 1000)).astype(np.float32)
    return [rng.integers(0, 256, (n, height, width, 1), dtype=np.uint8), embedding]


def output(model, arrays):
    return np.asarray(model(arrays, training=False))


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_parameter_counts_are_the_papers(build, name):
    model = build(name)
    assert model.count_params() == sum(int(np.prod(v.shape)) for v in model.trainable_variables) == PARAMETERS[name]
    assert [tensor.shape for tensor in model.inputs] == [(None, None, None, 1), (None, 1000)]
    assert model.output.shape == (None, None, None, 2)


@pytest.mark.parametrize("embedding", [True, False])
@pytest.mark.parametrize("name", ["base", "arch3", "mine"])
def test_parameters_are_counted_without_building_the_network(build, name, embedding):
    counted = parameters(name, resolve(name, MINE), embedding=embedding)
    assert counted == build(name, embedding=embedding, architectures=MINE).count_params()


def test_the_layers_are_those_of_the_papers_tables(build):
    assert [*ARCHITECTURES][:5] == [*PARAMETERS, "color"]
    layers = [
        (layer.filters, layer.kernel_size[0], layer.strides[0])
        for layer in build("arch3").layers
        if hasattr(layer, "kernel_size")
    ]
    assert layers == [
        (64, 3, 2), (64, 3, 2), (32, 3, 2), (64, 3, 1), (64, 3, 1),
        (64, 3, 1),
        (32, 3, 1), (32, 3, 1), (16, 3, 1), (2, 3, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_fusion_sees_an_eighth_of_the_size(build, name):
    model = build(name)
    assert model.get_layer("fusion_1").compute_output_shape([(1, 28, 28, 256), (1, 1000)])[1:3] == (28, 28)
    assert output(model, inputs(1, 8, 8)).shape == (1, 8, 8, 2)
    assert model.get_layer("fusion_1").kernel.shape[2] == (1064 if name == "arch3" else 1256)


def test_the_fusion_equals_the_literal_concatenation(keras):
    from pipeline.networks.layers import Fusion

    rng = np.random.default_rng(1)
    encoder = rng.normal(size=(3, 4, 6, 64)).astype(np.float32)
    embedding = rng.normal(size=(3, 1000)).astype(np.float32)
    fusion = Fusion(48)
    fusion([encoder, embedding])
    fusion.bias.assign(rng.normal(size=48))
    literal = keras.layers.Conv2D(48, 1, activation="relu")
    tiled = np.tile(embedding[:, None, None, :], (1, 4, 6, 1))
    whole = np.concatenate([encoder, tiled], axis=-1)
    literal.build(whole.shape)
    literal.set_weights(fusion.get_weights())
    assert [w.shape for w in fusion.get_weights()] == [(1, 1, 1064, 48), (48,)]
    got = np.asarray(fusion([encoder, embedding]))
    np.testing.assert_allclose(got, np.asarray(literal(whole)), rtol=2e-5, atol=2e-5)
    kernel, bias = (w.astype(np.float64) for w in fusion.get_weights())
    np.testing.assert_allclose(got, np.maximum(whole.astype(np.float64) @ kernel[0, 0] + bias, 0), rtol=2e-5, atol=2e-5)
    assert (got > 0).mean() > 0.3 and (got == 0).any()


@pytest.mark.parametrize("size", [1, 3, 5])
def test_an_upsampling_convolution_equals_both_layers(keras, size):
    from pipeline.networks.layers import UpsamplingConvolution

    rng = np.random.default_rng(size)
    features, target = (rng.normal(size=(2, *shape)).astype(np.float32) for shape in ((4, 6, 5), (8, 12, 7)))
    one = UpsamplingConvolution(7, size, padding="same", activation="relu")
    layers = [keras.layers.UpSampling2D(2), keras.layers.Conv2D(7, size, padding="same", activation="relu")]
    both = keras.Sequential(layers)
    assert one(features).shape == both(features).shape == one.compute_output_shape(features.shape) == target.shape
    both.set_weights([rng.normal(size=weight.shape) for weight in one.get_weights()])
    one.set_weights(both.get_weights())
    expected = np.asarray(both(features))
    np.testing.assert_allclose(np.asarray(one(features)), expected, rtol=1e-5, atol=1e-5)
    assert 0.3 < (expected > 0).mean() < 0.7
    for model in (keras.Sequential([one]), both):
        model.compile(keras.optimizers.SGD(1.0), "mse")
        model.train_on_batch(features, target)
    for trained, other in zip(one.get_weights(), both.get_weights(), strict=True):
        np.testing.assert_allclose(trained, other, rtol=1e-5, atol=1e-5)


def test_an_upsampling_is_merged_with_a_following_convolution_of_odd_size(build):
    def kinds(decoder):
        made = build("mine", architectures={"mine": Architecture(encoder="4/2 4/2", fusion="1x1:4", decoder=decoder)})
        return [(layer.name, type(layer).__name__) for layer in made.layers[5:]]

    joined, convolution, upsampling = "UpsamplingConvolution", "Conv2D", "UpSampling2D"
    assert kinds("^ 4 2 ^") == [("decoder_2", joined), ("ab", convolution), ("decoder_4_upsampling", upsampling)]
    assert kinds("4 ^ ^ 5x5:2") == [("decoder_1", convolution), ("decoder_2_upsampling", upsampling), ("ab", joined)]
    assert kinds("^ 2x2:4 ^ 2") == [("decoder_1_upsampling", upsampling), ("decoder_2", convolution), ("ab", joined)]


def test_the_fusion_draws_a_single_kernel(build):
    kernel = np.asarray(build("arch3", seed=3).get_layer("fusion_1").kernel)
    limit = np.sqrt(6 / (1064 + 64))
    assert 0.99 * limit < np.abs(kernel[:, :, :64]).max() <= limit
    assert 0.99 * limit < np.abs(kernel[:, :, 64:]).max() <= limit


@pytest.mark.parametrize(("height", "width"), [(8, 8), (24, 40), (64, 16)])
def test_any_size_divisible_by_eight_works(build, height, width):
    got = output(build("arch3"), inputs(2, height, width))
    assert (got.shape, got.dtype) == ((2, height, width, 2), np.float32)


def test_lightness_may_be_bytes_or_floats(build):
    model = build("arch3", start_at=(128.0, 130.0))
    lightness, embedding = inputs()
    whole = output(model, [lightness, embedding])
    np.testing.assert_array_equal(whole, output(model, [lightness.astype(np.float32), embedding]))
    assert whole.std() > 0.1


def test_both_inputs_matter(build):
    model = build("arch3", start_at=(128.0, 128.0))
    lightness, embedding = inputs()
    first = output(model, [lightness, embedding])
    assert np.abs(first - output(model, [255 - lightness, embedding])).max() > 0.1
    assert np.abs(first - output(model, [lightness, -embedding])).max() > 0.01


def test_under_mixed_precision_the_prediction_is_float32_with_fine_steps(build, keras):
    exact = output(build("arch3", start_at=(128.0, 128.0)), inputs())
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = build("arch3", start_at=(128.0, 128.0))
    got = output(model, inputs())
    assert got.dtype == np.float32
    assert model.get_layer("encoder_1").compute_dtype == model.get_layer("fusion_1").compute_dtype == "bfloat16"
    assert model.get_layer("ab").compute_dtype == "float32"
    # In bfloat16, few different values exist near 128. The last upsampling repeats each value 4 times.
    assert len(np.unique(got)) > 0.9 * got.size / 4
    assert 0 < np.abs(got - exact).max() < 0.1 * np.abs(exact - 128).max()


@pytest.mark.parametrize(("name", "convolutions"), [("base", 15), ("arch3", 11)])
def test_all_kernels_except_the_encoders_last_are_penalised(build, name, convolutions):
    model = build(name, l2=0.01)
    kernels = {layer.name: layer.kernel for layer in model.layers if hasattr(layer, "kernel")}
    assert len(kernels) == convolutions
    free = max((label for label in kernels if label.startswith("encoder")), key=lambda label: (len(label), label))
    assert len(model.losses) == convolutions - 1
    expected = 0.01 * sum(np.square(np.asarray(k, np.float64)).sum() for label, k in kernels.items() if label != free)
    assert sum(map(float, model.losses)) == pytest.approx(expected, rel=1e-5)
    assert build(name, l2=0.0).losses == []


def test_biases_start_at_zero_except_the_last(build):
    model = build("arch3", start_at=(131.25, 140.5))
    biases = {layer.name: np.asarray(layer.bias) for layer in model.layers if hasattr(layer, "bias")}
    np.testing.assert_array_equal(biases.pop("ab"), [131.25, 140.5])
    assert not any(bias.any() for bias in biases.values())
    assert not np.asarray(build("arch3").get_layer("ab").bias).any()


def test_the_seed_decides_every_weight(build):
    first, same, other = (build("arch3", seed=seed).get_weights() for seed in (1, 1, 2))
    for one, two, three in zip(first, same, other, strict=True):
        np.testing.assert_array_equal(one, two)
        assert one.ndim == 1 or not np.array_equal(one, three)
    assert not np.array_equal(first[0][..., :32], first[0][..., 32:])


def test_a_custom_architecture_is_built_as_written(build):
    model = build("mine", architectures=MINE)
    assert model.name == "mine"
    assert output(model, inputs(1, 6, 10)).shape == (1, 6, 10, 2)
    assert [tuple(w.shape) for w in model.get_weights() if w.ndim == 4] == [
        (3, 3, 1, 4), (1, 1, 4, 6), (1, 1, 1006, 5), (3, 3, 5, 4), (3, 3, 4, 4), (5, 5, 4, 2)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("encoder", "fusion", "decoder", "expected"),
    [
        ("64/3", "1x1:4", "2", "encoder: expected .*'64/3'"),
        ("64 3x5:2", "1x1:4", "2", "encoder: expected .*'3x5:2'"),
        ("0", "1x1:4", "2", "encoder: expected .*'0'"),
        ("", "1x1:4", "2", "encoder: expected .*''"),
        ("64 ^", "1x1:4", "2", r"encoder: expected .*'64 \^'"),
        ("64", "3x3:4", "2", "fusion: expected .*'3x3:4'"),
        ("64", "1x1:4 8/2", "2", "fusion: expected .*'1x1:4 8/2'"),
        ("64", "", "2", "fusion: expected .*''"),
        ("64/2", "1x1:4", "^ 8", r"decoder: expected .* 2 filters .*'\^ 8'"),
        ("64/2", "1x1:4", "^ 8/2 ^ 2", r"decoder: expected .*'\^ 8/2 \^ 2'"),
        ("64/2", "1x1:4", "^", r"decoder: expected .* 2 filters .*'\^'"),
        ("64/2 64/2", "1x1:4", "^ 2", "encoder .*by 4, .*decoder .*by 2"),
        ("4/2 4/2 4/2 4/2", "1x1:4", "^ ^ ^ ^ 2", "encoder .*by 16; expected at most 8"),
    ],
)
def test_layers_that_do_not_fit_are_refused(build, encoder, fusion, decoder, expected):
    more = {"mine": Architecture(encoder=encoder, fusion=fusion, decoder=decoder)}
    with pytest.raises(InputError, match=f"^architecture mine.*{expected}"):
        build("mine", architectures=more)


@pytest.mark.parametrize(("name", "more"), [("arch3", None), ("mine", MINE)])
def test_without_the_embedding_only_the_fusions_kernel_differs(build, name, more):
    whole, without = build(name, seed=5, architectures=more), build(name, seed=5, embedding=False, architectures=more)
    assert [tensor.name for tensor in without.inputs] == ["L"]
    filters = whole.get_layer("fusion_1").filters
    assert whole.count_params() - without.count_params() == 1000 * filters
    assert len(whole.losses) == len(without.losses)
    for one, two in zip(whole.weights, without.weights, strict=True):
        same = one.path.split("/")[-2:] != ["fusion_1", "kernel"]
        assert one.path.split("/")[-2:] == two.path.split("/")[-2:]
        assert (tuple(one.shape) == tuple(two.shape)) == same
        if same:
            np.testing.assert_array_equal(np.asarray(one), np.asarray(two))
    # With the encoder's part of that kernel, it predicts the same as with embeddings of zeros.
    fusion, kernel = without.get_layer("fusion_1"), np.asarray(whole.get_layer("fusion_1").kernel)
    fusion.kernel.assign(kernel[:, :, :-1000])
    lightness, embedding = inputs()
    expected = output(whole, [lightness, np.zeros_like(embedding)])
    np.testing.assert_allclose(output(without, [lightness]), expected, rtol=1e-5, atol=1e-5)
    assert np.abs(output(whole, [lightness, embedding]) - expected).max() > 1e-3


def test_the_embeddings_length_comes_from_its_network(build):
    model = build("mine", architectures=MINE, outputs={"embedding": (7,)})
    assert [tensor.shape for tensor in model.inputs] == [(None, None, None, 1), (None, 7)]
    assert parameters("mine", MINE["mine"], embedding=True, outputs={"embedding": (7,)}) == model.count_params()


def test_unknown_and_taken_names_are_refused():
    with pytest.raises(InputError, match=r"'arch9'.* base, arch1, arch2, arch3, color, .*, mine\b"):
        resolve("arch9", MINE)
    with pytest.raises(InputError, match=r"architectures\.arch1\b"):
        resolve("base", {"arch1": MINE["mine"]})
    assert resolve("mine", MINE) == MINE["mine"]


def test_operations_are_counted_as_measured():
    # Training base was measured to need 44 GFLOP per image, a third of them forward.
    assert forward_flops("base", 224) == pytest.approx(44e9 / 3, rel=0.02)
    assert forward_flops("dot", 8, DOT) == 2 * (
        16 * 9 * 4 + 4 * 9 * 16 + 1 * 9 * 16 + 4 * 4 + 1000 * 4 + 9 * 16 + 4 * 9 * 16 + 16 * 9 * 8
    )
