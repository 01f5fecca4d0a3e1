"""The weights that Zhang et al. released: their network, computed by NumPy as PyTorch does, gives the same colours."""

from itertools import pairwise

import numpy as np
import pytest
import torch_checkpoints

from pipeline.core.errors import InputError
from pipeline.images import ab_bins
from pipeline.networks import heads
from pipeline.networks.inputs import ImageBatch, predict
from pipeline.networks.notation import resolve

BLOCKS = [
    (1, 64, 64),
    (64, 128, 128),
    (128, 256, 256, 256),
    *[(before, 512, 512, 512) for before in (256, 512, 512, 512)],
]


@pytest.fixture(scope="module")
def tensors():
    """Random weights with the names and shapes of the released file, whose classes are in another order."""
    rng = np.random.default_rng(0)
    found = {}

    def convolution(name, before, after, size, *, transposed=False):
        shape = (before, after) if transposed else (after, before)
        found[f"{name}.weight"] = rng.normal(0, (size * size * before) ** -0.5, (*shape, size, size)).astype(np.float32)
        found[f"{name}.bias"] = rng.normal(0, 0.1, after).astype(np.float32)

    for block, widths in enumerate(BLOCKS, 1):
        for place, (before, after) in enumerate(pairwise(widths)):
            convolution(f"model{block}.{2 * place}", before, after, 3)
        name = f"model{block}.{2 * (len(widths) - 1)}"
        for each in ("weight", "bias", "running_mean"):
            found[f"{name}.{each}"] = rng.normal(0.5, 0.2, widths[-1]).astype(np.float32)
        found[f"{name}.running_var"] = rng.uniform(0.5, 2, widths[-1]).astype(np.float32)
        found[f"{name}.num_batches_tracked"] = np.array([7])
    convolution("model8.0", 512, 256, 4, transposed=True)
    convolution("model8.2", 256, 256, 3)
    convolution("model8.4", 256, 256, 3)
    convolution("model8.6", 256, 313, 1)
    colours = ab_bins.centres()[rng.permutation(313)]
    found["model_out.weight"] = (colours.T[:, :, None, None] / 110).astype(np.float32)
    return found


@pytest.fixture
def model(keras):
    from pipeline.networks import builder

    head = heads.choose({"name": "classes", "temperature": 1.0})
    return builder.with_decoding(builder.build("zhang", l2=0.0), head)


def theirs(tensors, lightness):
    """Predicted ab (h / 4, w / 4, 2) of L* (h, w)."""

    def convolved(x, name, stride=1, dilation=1):
        kernel, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        size = kernel.shape[2]
        reach = dilation * (size // 2)
        wide = np.pad(x, ((0, 0), (reach, reach), (reach, reach)))
        height, width = x.shape[1] // stride, x.shape[2] // stride
        out = np.zeros((len(kernel), height, width))
        for row, column in np.ndindex(size, size):
            top, left = row * dilation, column * dilation
            part = wide[:, top : top + stride * height : stride, left : left + stride * width : stride]
            out += np.einsum("oc,chw->ohw", kernel[:, :, row, column], part)
        return out + bias[:, None, None]

    def transposed(x, name):
        kernel, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        _, height, width = x.shape
        out = np.zeros((kernel.shape[1], 2 * height + 2, 2 * width + 2))
        for row, column in np.ndindex(4, 4):
            part = np.einsum("co,chw->ohw", kernel[:, :, row, column], x)
            out[:, row : row + 2 * height : 2, column : column + 2 * width : 2] += part
        return out[:, 1:-1, 1:-1] + bias[:, None, None]

    x = ((lightness - 50) / 100)[None]
    for block, widths in enumerate(BLOCKS, 1):
        count = len(widths) - 1
        for place in range(count):
            stride = 2 if block <= 3 and place == count - 1 else 1
            x = np.maximum(convolved(x, f"model{block}.{2 * place}", stride, 2 if block in (5, 6) else 1), 0)
        gain, bias, mean, variance = (
            tensors[f"model{block}.{2 * count}.{each}"][:, None, None]
            for each in ("weight", "bias", "running_mean", "running_var")
        )
        x = (x - mean) / np.sqrt(variance + 1e-5) * gain + bias
    x = np.maximum(transposed(x, "model8.0"), 0)
    for name in ("model8.2", "model8.4"):
        x = np.maximum(convolved(x, name), 0)
    logits = convolved(x, "model8.6")
    shares = np.exp(logits - logits.max(axis=0))
    shares /= shares.sum(axis=0)
    return 110 * np.einsum("oc,chw->hwo", tensors["model_out.weight"][:, :, 0, 0], shares)


def test_the_released_network_gives_the_same_colours(model, tensors, tmp_path):
    from pipeline.networks import builder, released

    path = tmp_path / "release.pth"
    path.write_bytes(torch_checkpoints.of_arrays(tensors))
    released.assign(model, path)
    lightness = np.random.default_rng(1).integers(0, 256, (16, 24), dtype=np.uint8)
    small, factor = builder.before_upsampling(model)
    found = predict(small, ImageBatch(lightness[None]))[0] - 128
    expected = theirs(tensors, lightness * (100 / 255))
    assert factor == 4 and expected.std() > 1
    assert np.abs(found - expected).max() < 0.01


@pytest.mark.parametrize("change", ["missing", "shape", "classes", "other file", "no file"])
def test_other_weights_are_refused(model, tensors, tmp_path, change):
    from pipeline.networks import released

    path, wrong = tmp_path / "release.pth", dict(tensors)
    if change == "missing":
        del wrong["model4.6.running_mean"]
    if change == "shape":
        wrong["model8.2.bias"] = wrong["model8.2.bias"][:5]
    if change == "classes":
        wrong["model_out.weight"] = wrong["model_out.weight"] * 2
    if change != "no file":
        path.write_bytes(b"GIF89a" if change == "other file" else torch_checkpoints.of_arrays(wrong))
    with pytest.raises(InputError, match=r"release\.pth"):
        released.assign(model, path)


def test_a_network_of_another_architecture_is_refused(keras, tensors, tmp_path):
    from pipeline.networks import builder, released

    path = tmp_path / "release.pth"
    path.write_bytes(torch_checkpoints.of_arrays(tensors))
    with pytest.raises(InputError, match="architecture zhang"):
        released.assign(builder.build("arch3"), path)


def test_a_run_may_start_from_the_file(keras, tensors, tmp_path):
    from pipeline.networks import builder, transfer

    path = tmp_path / "release.pth"
    path.write_bytes(torch_checkpoints.of_arrays(tensors))
    model = builder.build("zhang", l2=0.0)
    saved = transfer.load(str(path), model, heads.choose(resolve("zhang").head), {})
    transfer.assign(model, saved)
    assert np.array_equal(np.asarray(model.get_layer("decoder_1").bias), tensors["model8.0.bias"])
