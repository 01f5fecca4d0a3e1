"""Colours on a photograph: lightness stays, edges hold, any size comes back."""

import numpy as np
import pytest
from skimage.color import lab2rgb
from tiny import gray_photograph, star

from pipeline.colorize import recolour
from pipeline.colorize.upsampling import Upsampling
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.images import lab

RNG = np.random.default_rng(0)


# Lightness and gamut


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("ab", [(0, 0), (20, -30), (127, 127), (-128, 90), (10, -128)])
def test_lightness_is_the_photographs_own_whatever_the_colour(kind, ab):
    full = np.iinfo(kind).max
    levels = np.linspace(0, full, 256 * 300).astype(kind).reshape(256, 300)
    out = recolour.recolour(levels, lambda start, lightness: [np.full_like(lightness, value) for value in ab])
    assert (out.dtype, out.shape) == (kind, (256, 300, 3))
    difference = np.abs(star(out)[..., 0] - star(levels)[..., 0]) * 2.55
    assert np.quantile(difference, 0.999) <= (1 if kind is np.uint8 else 0.02)


def test_a_colour_inside_srgb_is_met_and_one_outside_keeps_its_hue():
    levels = np.tile(np.arange(0, 256, 5, dtype=np.uint8), (4, 1))
    for a, b in ((10.0, 12.0), (60.0, -70.0)):
        out = recolour.recolour(levels, lambda start, light, a=a, b=b: [np.full_like(light, a), np.full_like(light, b)])
        expected = star(levels)
        expected[..., 1:] = a, b
        reached = star(out)
        inside = ((lab2rgb(expected) > 0.002) & (lab2rgb(expected) < 0.998)).all(axis=-1)
        assert inside.any() and np.abs(reached - expected)[inside].max() < 1.5
        outside = ~inside & (levels > 40) & (levels < 235)
        if a == 60:
            assert outside.any()
            chroma = np.hypot(*np.moveaxis(reached[outside][:, 1:], -1, 0))
            assert (chroma < np.hypot(a, b)).all() and (reached[outside][:, 1] > 0).all()
            assert (reached[outside][:, 2] < 0).all()


# Upsampling


def test_colours_follow_an_edge_of_lightness_instead_of_bleeding():
    truth = np.where(np.arange(96) < 44, 0, 1)[None] * np.ones((64, 1))  # the edge is inside a square of 8
    guide, ab = (30 + 40 * truth).astype(np.float32), np.dstack([60 * truth - 30, 10 - 20 * truth]).astype(np.float32)
    low, small = ab.reshape(8, 8, 12, 8, 2).mean((1, 3)), guide.reshape(8, 8, 12, 8).mean((1, 3))
    errors = [
        np.abs(np.dstack(Upsampling(low, small, (64, 96), steadiness=s).rows(0, guide)) - ab).mean()
        for s in (100.0, 1e12)
    ]
    assert errors[0] < 0.6 * errors[1]


def test_rows_come_out_the_same_in_whatever_pieces_they_are_asked_for():
    values, small = RNG.normal(0, 20, (7, 9, 2)).astype(np.float32), RNG.uniform(0, 100, (7, 9)).astype(np.float32)
    guide = RNG.uniform(0, 100, (50, 61)).astype(np.float32)
    up = Upsampling(values, small, (50, 61), extent=(6.5, 8.2))
    whole = np.dstack(up.rows(0, guide))
    parts = np.vstack([np.dstack(up.rows(start, guide[start : start + 7])) for start in range(0, 50, 7)])
    assert np.array_equal(whole, parts)


def test_colours_are_not_shifted():
    ramp = np.tile(np.linspace(0, 70, 8, dtype=np.float32), (8, 1))
    up = Upsampling(ramp[..., None], np.full((8, 8), 50, np.float32), (80, 80))
    (found,) = up.rows(0, np.full((80, 80), 50, np.float32))
    places = (np.arange(80) + 0.5) / 10 - 0.5
    assert np.allclose(found[40, 20:60], 10 * places[20:60], atol=1e-3)


# Photographs


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (3, 9000), (57, 301), (224, 224), (700, 500)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_any_size_comes_back_in_colour_with_its_lightness(keras, colorizer, shape, kind):
    levels = gray_photograph(*shape).astype(kind) * (257 if kind is np.uint16 else 1)
    out = colorizer(levels)
    assert (out.shape, out.dtype) == ((*shape, 3), kind)
    assert np.quantile(np.abs(star(out)[..., 0] - star(levels)[..., 0]) * 2.55, 0.999) <= 1
    bright = (levels > np.iinfo(kind).max // 4) & (levels < np.iinfo(kind).max * 3 // 4)
    if bright.any():
        assert np.hypot(*np.moveaxis(star(out)[bright][:, 1:], -1, 0)).mean() > 10


def test_a_stored_images_colours_are_those_of_the_evaluation(keras, colorizer, made_run):
    """At 224x224 nothing is resized: what is left is the upsampling by two."""
    from pipeline.networks import saving

    levels = gray_photograph(224, 224)
    lightness = lab.from_rgb(np.dstack([levels] * 3))[0]
    expected = np.asarray(saving.load(made_run / "model.keras").predict_on_batch([lightness[None, ..., None]]))[0]
    found = colorizer.ab(levels)
    assert expected.std(axis=(0, 1)).max() > 1
    assert np.corrcoef(found.reshape(112, 2, 112, 2, 2).mean((1, 3)).ravel(), expected[::2, ::2].ravel())[0, 1] > 0.99
    assert np.abs(found.mean((0, 1)) - expected.mean((0, 1))).max() < 0.3


def test_the_tone_of_a_print_does_not_matter(keras, colorizer):
    gray = gray_photograph(100, 120)
    faded = np.rint(255 * np.clip(lab2rgb(star(gray) + (0, 6, 18)), 0, 1)).astype(np.uint8)
    again = recolour.recolour(faded, lambda start, light: [light * 0, light * 0])[..., 0]
    difference = np.abs(colorizer(faded).astype(int) - colorizer(again))
    assert difference.mean() < 1 and difference.max() <= 12  # of the rounding of the two to 8 bits


def test_saturation_scales_the_colours(keras, made_run):
    from pipeline.colorize.colorizer import Colorizer

    levels = gray_photograph(64, 64)
    gray, plain = (Colorizer.load(made_run, saturation=s)(levels) for s in (0, 1))
    assert np.ptp(gray.astype(int), axis=-1).max() <= 1 < np.ptp(plain.astype(int), axis=-1).max()


def test_the_network_sees_white_through_transparency(keras, made_run):
    from pipeline.colorize.colorizer import Colorizer
    from pipeline.colorize.predictors import KerasPredictor

    seen = []

    def embed(lightness):
        seen.append(lightness)
        return {"embedding": np.zeros((1, 1000), np.float32)}

    own = Colorizer.load(made_run)
    levels, alpha = np.zeros((30, 30), np.uint8), np.zeros((30, 30), np.uint8)
    alpha[:, :15] = 255
    Colorizer(KerasPredictor(own.predictor.network, embed))(levels, alpha)
    assert seen[0].shape == (1, 224, 224) and seen[0][0, 100, 10] == 0 and seen[0][0, 100, 213] == 255


def test_answers_that_are_no_numbers_give_gray(keras, made_run):
    from pipeline.colorize.colorizer import Colorizer
    from pipeline.colorize.predictors import KerasPredictor
    from pipeline.networks import saving

    model = saving.load(made_run / "model.keras")
    model.set_weights([weights * np.nan for weights in model.get_weights()])
    assert np.ptp(Colorizer(KerasPredictor(model, None))(gray_photograph(40, 40)).astype(int), axis=-1).max() <= 1


@pytest.mark.parametrize("array", [
    np.zeros((4, 4), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8), [[1]],
])  # fmt: skip
def test_what_is_no_photograph_is_refused(keras, colorizer, array):
    with pytest.raises(InputError, match=r"photograph: expected \(H, W\) or \(H, W, 3\) of uint8 or uint16, received"):
        colorizer(array)


# The embedding network


def embedded(tmp_path, weights, digest=None, settings=None):
    record = {
        "embedding": {
            "network": "InceptionResNetV2",
            "weights": "random",
            "activation": "logits",
            "precision": "float32",
        },
        "fingerprints": {"embeddings": "abc"},
        "configuration": {"data": str(tmp_path / "data"), "dataset": "tiny", "embedding": {"weights": "random"}},
        **(settings or {}),
    }
    (tmp_path / "data" / "tiny").mkdir(parents=True)
    saved = tmp_path / "data" / "tiny" / "embedding_network.weights.h5"
    if weights is not None:
        saved.write_bytes(weights)
    if digest:
        record["embedding_weights"] = {"weights": "random", "files": {saved.name: digest}}
    return record


def test_the_embedding_network_is_found_and_known_by_its_digest(keras, tmp_path, monkeypatch):
    from pipeline.embedding import network as networks
    from pipeline.embedding import of_run

    loaded = []
    monkeypatch.setattr(networks, "build_network", lambda settings, weights: loaded.append(weights))
    monkeypatch.setattr(networks, "EmbeddingNetwork", lambda entry, network, batch_size, outputs: batch_size)
    digest = files.digest_bytes(b"own")
    record = embedded(tmp_path, b"own", digest)
    assert of_run.load(tmp_path / "results" / "r", record) == 1
    other = tmp_path / "other.h5"
    other.write_bytes(b"else")
    with pytest.raises(InputError, match=f"{digest}.*{files.digest_bytes(b'else')}"):
        of_run.load(tmp_path / "results" / "r", record, other)
    (tmp_path / "data/tiny/embedding_network.weights.h5").write_bytes(b"changed")
    with pytest.raises(InputError, match="--embedding-weights"):
        of_run.load(tmp_path / "results" / "r", record)
    assert len(loaded) == 1


def test_a_dataset_with_other_embeddings_than_the_runs_is_refused(tmp_path):
    from pipeline.embedding import of_run

    record = embedded(tmp_path, b"own")
    facts = {"weights": {"files": {"x": files.digest_bytes(b"own")}}}
    files.write_json(tmp_path / "data/tiny/embeddings.json", {"fingerprint": "other", **facts})
    with pytest.raises(InputError, match=r"fingerprint abc\b.*\bother\b"):
        of_run.load(tmp_path / "results" / "r", record)
    (tmp_path / "data/tiny/embeddings.json").unlink()
    with pytest.raises(InputError, match=r"run\.yaml: .*digest"):
        of_run.load(tmp_path / "results" / "r", record)


def test_other_pretrained_weights_than_the_runs_are_refused(tmp_path):
    from pipeline.embedding import of_run

    mine = tmp_path / "mine.h5"
    mine.write_bytes(b"else")
    embedding = {
        "network": "InceptionResNetV2",
        "weights": "imagenet",
        "md5": "123",
        "activation": "logits",
        "precision": "float32",
    }
    record = embedded(tmp_path, None, settings={"embedding": embedding})
    with pytest.raises(InputError, match=f"digest 123.*{files.digest_file(mine, 'md5')}"):
        of_run.load(tmp_path / "results" / "r", record, mine)


def test_a_damaged_run_is_refused(keras, made_run, tmp_path):
    import shutil

    from pipeline.colorize.colorizer import Colorizer

    own = shutil.copytree(made_run, tmp_path / made_run.name)
    (own / "model.keras").write_bytes(b"x")
    with pytest.raises(InputError, match=r"model\.keras is damaged"):
        Colorizer.load(own)
    with pytest.raises(InputError, match=r"expected the results of a run|files\.json"):
        Colorizer.load(tmp_path)
