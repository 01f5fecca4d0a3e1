"""Colours on photographs: lightness stays, edges hold, folders are gone through whatever is in them."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from click.testing import CliRunner
from PIL import Image
from skimage.color import lab2rgb, rgb2lab
from tiny import DOT, ROOT

from pipeline import files, lab, recolour
from pipeline.colorize_files import COLUMNS, REPORT, Options, colorize_files
from pipeline.errors import InputError
from pipeline.upsampling import Upsampling

RUN = "dot_lr1e-2_noembed"
RNG = np.random.default_rng(0)


def photograph(height, width, seed=0):
    """Gray (height, width) uint8 with all levels, smooth and sharp."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (max(2, height // 12), max(2, width // 12)), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)).copy()
    smooth[height // 3 : height // 2] = 255 - smooth[height // 3 : height // 2]
    return smooth


def star(levels):
    """CIE Lab of sRGB levels, gray or not, by nothing of ours."""
    values = levels / np.iinfo(levels.dtype).max
    return rgb2lab(values if values.ndim == 3 else np.dstack([values] * 3))


@pytest.fixture(scope="module")
def result(_started, tmp_path_factory):
    """``results/<run>/`` of a network with strong colours that vary: read only."""
    from pipeline import architectures, models

    folder = tmp_path_factory.mktemp("made") / "results" / RUN
    model = architectures.build("dot", seed=3, start_at=(150.0, 160.0), embedding=False, architectures=DOT)
    model.get_layer("ab").kernel.assign(10 * model.get_layer("ab").kernel)
    models.save(model, folder / "model.keras")
    record = {"run": RUN, "embedding": {"weights": "none"}}
    (folder / "run.yaml").write_text(yaml.safe_dump(record))
    files.write_listing(folder)
    return folder


@pytest.fixture(scope="module")
def colorizer(result):
    from pipeline.colorize import Colorizer

    return Colorizer.load(result)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    for number, name in enumerate(["a.png", "b.jpg", "sub/a.png"]):
        Image.fromarray(photograph(40, 60, number)).save(root / name)
    return root


def colour(inputs, out, colorizer, **options):
    return colorize_files(inputs, out, lambda: colorizer, Options(**options))


def report(out):
    with (out / REPORT).open(newline="") as file:
        return {
            Path(row["file"]).name if "sub" not in row["file"] else "sub/a.png": row for row in csv.DictReader(file)
        }


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
        wanted = star(levels)
        wanted[..., 1:] = a, b
        reached = star(out)
        inside = ((lab2rgb(wanted) > 0.002) & (lab2rgb(wanted) < 0.998)).all(axis=-1)
        assert inside.any() and np.abs(reached - wanted)[inside].max() < 1.5
        outside = ~inside & (levels > 40) & (levels < 235)
        if a == 60:
            assert outside.any()
            chroma = np.hypot(*np.moveaxis(reached[outside][:, 1:], -1, 0))
            assert (chroma < np.hypot(a, b)).all() and (reached[outside][:, 1] > 0).all()
            assert (reached[outside][:, 2] < 0).all()


def test_lightness_is_that_of_the_stored_images():
    rgb = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert np.abs(recolour.lightness(rgb).astype(int) - lab.from_rgb(rgb)[0]).max() <= 1
    assert (recolour.lightness(rgb) == lab.from_rgb(rgb)[0]).mean() > 0.99
    ramp = np.arange(256, dtype=np.uint8)[None]
    assert np.array_equal(recolour.lightness(ramp), lab.from_rgb(np.dstack([ramp] * 3))[0])


# Bringing colours up


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


# A whole photograph


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (3, 9000), (57, 301), (224, 224), (700, 500)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_any_size_comes_back_in_colour_with_its_lightness(keras, colorizer, shape, kind):
    levels = photograph(*shape).astype(kind) * (257 if kind is np.uint16 else 1)
    out = colorizer(levels)
    assert (out.shape, out.dtype) == ((*shape, 3), kind)
    assert np.quantile(np.abs(star(out)[..., 0] - star(levels)[..., 0]) * 2.55, 0.999) <= 1
    bright = (levels > np.iinfo(kind).max // 4) & (levels < np.iinfo(kind).max * 3 // 4)
    if bright.any():
        assert np.hypot(*np.moveaxis(star(out)[bright][:, 1:], -1, 0)).mean() > 10


def test_a_stored_images_colours_are_those_of_the_evaluation(keras, colorizer, result):
    """At 224x224 nothing is resized: what is left is the upsampling by two."""
    from pipeline import models

    levels = photograph(224, 224)
    lightness = lab.from_rgb(np.dstack([levels] * 3))[0]
    expected = np.asarray(models.load(result / "model.keras").predict_on_batch([lightness[None, ..., None]]))[0]
    found = colorizer.ab(levels)
    assert expected.std(axis=(0, 1)).max() > 1
    assert np.corrcoef(found.reshape(112, 2, 112, 2, 2).mean((1, 3)).ravel(), expected[::2, ::2].ravel())[0, 1] > 0.99
    assert np.abs(found.mean((0, 1)) - expected.mean((0, 1))).max() < 0.3


def test_the_tone_of_a_print_does_not_matter(keras, colorizer):
    gray = photograph(100, 120)
    faded = np.rint(255 * np.clip(lab2rgb(star(gray) + (0, 6, 18)), 0, 1)).astype(np.uint8)
    again = recolour.recolour(faded, lambda start, light: [light * 0, light * 0])[..., 0]
    assert np.abs(colorizer(faded).astype(int) - colorizer(again)).max() <= 3


def test_saturation_scales_the_colours(keras, result):
    from pipeline.colorize import Colorizer

    levels = photograph(64, 64)
    gray, plain = (Colorizer.load(result, saturation=s)(levels) for s in (0, 1))
    assert np.ptp(gray.astype(int), axis=-1).max() <= 1 < np.ptp(plain.astype(int), axis=-1).max()


def test_what_the_network_sees_keeps_its_aspect_and_is_bounded():
    from pipeline.colorize import network_shape

    assert network_shape(3000, 4000) == (224, 299) and network_shape(4000, 3000) == (299, 224)
    assert network_shape(3000, 4000, size=448) == (448, 597)
    for shape in ((1, 1), (3, 20_000), (1, 1_000_000), (65_000, 1000), (1000, 65_000)):
        height, width = network_shape(*shape)
        assert min(height, width) >= 1 and max(height, 8) * max(width, 8) <= 17 * 224 * 224


def test_the_network_sees_white_through_transparency(keras, result):
    from pipeline.colorize import Colorizer

    seen = []

    def embed(lightness):
        seen.append(lightness)
        return np.zeros((1, 1000), np.float32)

    own = Colorizer.load(result)
    levels, alpha = np.zeros((30, 30), np.uint8), np.zeros((30, 30), np.uint8)
    alpha[:, :15] = 255
    Colorizer(own._network, embed)(levels, alpha)
    assert seen[0].shape == (1, 224, 224) and seen[0][0, 100, 10] == 0 and seen[0][0, 100, 213] == 255


def test_answers_that_are_no_numbers_give_gray(keras, result):
    from pipeline import models
    from pipeline.colorize import Colorizer

    model = models.load(result / "model.keras")
    model.set_weights([weights * np.nan for weights in model.get_weights()])
    assert np.ptp(Colorizer(model, None)(photograph(40, 40)).astype(int), axis=-1).max() <= 1


@pytest.mark.parametrize("array", [
    np.zeros((4, 4), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8), [[1]],
])  # fmt: skip
def test_what_is_no_photograph_is_refused(keras, colorizer, array):
    with pytest.raises(InputError, match=r"photograph: expected \(H, W\) or \(H, W, 3\) of uint8 or uint16, received"):
        colorizer(array)


# The embedding network


def embedded(tmp_path, weights, digest=None, settings=None):
    record = {
        "embedding": {"weights": "random", "seed": 0, "activation": "logits", "precision": "float32"},
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
    from pipeline import inception, run_embedding

    loaded = []
    monkeypatch.setattr(inception, "build_network", lambda settings, weights: loaded.append(weights))
    monkeypatch.setattr(inception, "EmbeddingNetwork", lambda network, batch_size: batch_size)
    digest = files.digest_bytes(b"own")
    record = embedded(tmp_path, b"own", digest)
    assert run_embedding.load(tmp_path / "results" / "r", record) == 1
    other = tmp_path / "other.h5"
    other.write_bytes(b"else")
    with pytest.raises(InputError, match=f"digest {digest}; those at hand .*have {files.digest_bytes(b'else')}"):
        run_embedding.load(tmp_path / "results" / "r", record, other)
    (tmp_path / "data/tiny/embedding_network.weights.h5").write_bytes(b"changed")
    with pytest.raises(InputError, match="--embedding-weights"):
        run_embedding.load(tmp_path / "results" / "r", record)
    assert len(loaded) == 1


def test_a_dataset_with_other_embeddings_than_the_runs_is_refused(tmp_path):
    from pipeline import run_embedding

    record = embedded(tmp_path, b"own")
    facts = {"weights": {"files": {"x": files.digest_bytes(b"own")}}}
    files.write_json(tmp_path / "data/tiny/embeddings.json", {"fingerprint": "other", **facts})
    with pytest.raises(InputError, match=r"embeddings with fingerprint abc, those in .* have other"):
        run_embedding.load(tmp_path / "results" / "r", record)
    (tmp_path / "data/tiny/embeddings.json").unlink()
    with pytest.raises(InputError, match="expected the digest of the embedding network's weights, received none"):
        run_embedding.load(tmp_path / "results" / "r", record)


def test_other_pretrained_weights_than_the_runs_are_refused(tmp_path):
    from pipeline import run_embedding

    mine = tmp_path / "mine.h5"
    mine.write_bytes(b"else")
    told = {"weights": "imagenet", "md5": "123", "activation": "logits", "precision": "float32"}
    record = embedded(tmp_path, None, settings={"embedding": told})
    with pytest.raises(InputError, match=f"digest 123; those at hand .*have {files.digest_file(mine, 'md5')}"):
        run_embedding.load(tmp_path / "results" / "r", record, mine)


def test_a_damaged_run_is_refused(keras, result, tmp_path):
    import shutil

    from pipeline.colorize import Colorizer

    own = shutil.copytree(result, tmp_path / RUN)
    (own / "model.keras").write_bytes(b"x")
    with pytest.raises(InputError, match=r"model\.keras is damaged"):
        Colorizer.load(own)
    with pytest.raises(InputError, match=r"expected the results of a run|files\.json"):
        Colorizer.load(tmp_path)


# Folders


def test_a_folder_is_mirrored_and_done_once(keras, colorizer, folder, tmp_path):
    (folder / "note.txt").write_text("no photograph")
    outcome = colour([folder], tmp_path / "out", colorizer)
    assert (outcome.done, outcome.skipped, outcome.failed, outcome.left_out) == (3, 0, {}, 1)
    made = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert made == {"a.png", "b.jpg", "sub/a.png", REPORT}
    assert sorted(p.name for p in folder.rglob("*") if p.is_file()) == ["a.png", "a.png", "b.jpg", "note.txt"]
    rows = report(tmp_path / "out")
    assert tuple(rows["a.png"]) == COLUMNS
    assert {name: row["status"] for name, row in rows.items()} == {
        "a.png": "done", "b.jpg": "done", "sub/a.png": "done", "note.txt": "left out",
    }  # fmt: skip
    times = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in (tmp_path / "out").rglob("*.[pj]*g")}
    outcome = colour([folder], tmp_path / "out", colorizer)
    assert (outcome.done, outcome.skipped) == (0, 3)
    assert times == {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in times}
    with Image.open(tmp_path / "out" / "sub" / "a.png") as image:
        assert f"run {RUN}" in image.info["Software"] and "not original" in image.getexif()[305]


def test_one_bad_file_does_not_stop_the_rest_and_is_tried_again(keras, colorizer, folder, tmp_path):
    good = (folder / "a.png").read_bytes()
    (folder / "a.png").write_bytes(b"broken")
    outcome = colour([folder], tmp_path / "out", colorizer)
    assert (outcome.done, list(outcome.failed)) == (2, [str(folder / "a.png")])
    assert report(tmp_path / "out")["a.png"]["detail"] == next(iter(outcome.failed.values()))
    assert not (tmp_path / "out" / "a.png").exists()
    (folder / "a.png").write_bytes(good)
    outcome = colour([folder], tmp_path / "out", colorizer)
    assert (outcome.done, outcome.skipped, outcome.failed) == (1, 2, {})


def test_nothing_is_overwritten_unless_asked(keras, colorizer, folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").write_bytes(b"mine")
    outcome = colour([folder], tmp_path / "out", colorizer)
    assert (
        outcome.done == 2 and "was not made by this command; add --overwrite" in outcome.failed[str(folder / "a.png")]
    )
    assert (tmp_path / "out" / "a.png").read_bytes() == b"mine"
    outcome = colour([folder], tmp_path / "out", colorizer, overwrite=True)
    assert (outcome.done, outcome.skipped) == (1, 2)
    Image.fromarray(photograph(50, 50)).save(folder / "b.jpg")
    outcome = colour([folder], tmp_path / "out", colorizer)
    assert "a photograph that has changed since" in outcome.failed[str(folder / "b.jpg")] and outcome.skipped == 2
    outcome = colour([folder], tmp_path / "out", colorizer, compare=True)
    assert len(outcome.failed) == 3 and "by another run or other options" in outcome.failed[str(folder / "a.png")]
    outcome = colour([folder], tmp_path / "out", colorizer)
    assert (outcome.skipped, list(outcome.failed)) == (2, [str(folder / "b.jpg")])


def test_what_failed_half_way_is_done_again(keras, colorizer, folder, tmp_path, monkeypatch):
    from pipeline import colorize_files as module

    monkeypatch.setattr(module, "_compare", lambda *given: 1 / 0)
    outcome = colour([folder], tmp_path / "out", colorizer, compare=True)
    assert set(outcome.failed.values()) == {"ZeroDivisionError: division by zero"} and len(outcome.failed) == 3
    monkeypatch.undo()
    assert colour([folder], tmp_path / "out", colorizer, compare=True).done == 3


def test_photographs_of_one_name_do_not_meet(keras, colorizer, tmp_path):
    root = tmp_path / "in"
    root.mkdir()
    for number, name in enumerate(["a.png", "a.gif", "b.gif"]):
        Image.fromarray(photograph(40, 60, number)).save(root / name)
    for skipped in (0, 3):
        outcome = colour([root], tmp_path / "out", colorizer)
        assert (outcome.skipped, outcome.failed) == (skipped, {})
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"a.png", "a.gif.png", "b.png", REPORT}
    for name, number in (("a.png", 0), ("a.gif.png", 1), ("b.png", 2)):
        picture = np.asarray(Image.open(tmp_path / "out" / name))
        assert (
            np.abs(recolour.lightness(picture).astype(int) - recolour.lightness(photograph(40, 60, number))).max() <= 2
        )
    other = tmp_path / "elsewhere" / "a.png"
    other.parent.mkdir()
    Image.fromarray(photograph(40, 60, 5)).save(other)
    outcome = colour([root, other], tmp_path / "out", colorizer, overwrite=True)
    assert "already the output of another photograph" in outcome.failed[str(other)]


def test_a_killed_call_is_gone_on_with(keras, colorizer, folder, tmp_path):
    out = tmp_path / "out"
    colour([folder], out, colorizer)
    whole = (out / REPORT).read_text()
    lines = whole.splitlines(keepends=True)
    started = lines[1].replace(",done,", ",started,").rpartition(",")[0] + ",\n"
    (out / REPORT).write_text("".join([lines[0], started, *lines[2:-1], lines[-1][:40]]))
    stray = out / "sub" / ".a.png.tmp.png"
    stray.touch()
    (out / "sub" / "a.png").unlink()  # the line that was cut off
    outcome = colour([folder], out, colorizer)
    assert (outcome.done, outcome.skipped, outcome.failed) == (2, 1, {})
    assert not stray.exists()
    assert {name: row["status"] for name, row in report(out).items()} == dict.fromkeys(report(out), "done")


def test_outputs_never_land_among_the_photographs(keras, colorizer, folder, tmp_path):
    for inputs, out in (
        ([folder], folder),
        ([folder], folder / "new"),
        ([folder / "a.png"], folder),
        ([folder], tmp_path),
    ):
        with pytest.raises(InputError, match=r"--out .*expected a folder apart from the photographs"):
            colour(inputs, out, colorizer)
    with pytest.raises(InputError, match=r"absent\.jpg: expected a photograph or a folder"):
        colour([folder / "absent.jpg"], tmp_path / "out", colorizer)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.png", "a.png", "b.jpg", "in", "sub"]


def test_a_comparison_shows_before_and_after(keras, colorizer, folder, tmp_path):
    colour([folder / "a.png"], tmp_path / "out", colorizer, compare=True)
    picture = np.asarray(Image.open(tmp_path / "out" / "a.png.compare.jpg")).astype(int)
    assert picture.shape == (40, 120, 3)
    before, after = (np.ptp(half, axis=-1).mean() for half in (picture[:, :58], picture[:, 62:]))
    assert before < 1.5 and after > 10


def test_ab_alone_are_the_predicted_ones(keras, colorizer, folder, tmp_path):
    colour([folder / "a.png"], tmp_path / "out", colorizer, ab_only=True)
    found = np.load(tmp_path / "out" / "a.png.ab.npy")
    assert found.dtype == np.uint8 and np.array_equal(found, colorizer.ab(photograph(40, 60, 0)))
    assert [p.name for p in (tmp_path / "out").iterdir() if p.suffix != ".csv"] == ["a.png.ab.npy"]


def test_a_colour_photograph_is_coloured_anew_with_a_remark_and_a_toned_one_without(keras, colorizer, tmp_path):
    gray = photograph(60, 60)
    coloured = lab2rgb(np.dstack([star(gray)[..., 0], 60 * (np.indices((60, 60)) > 30).transpose(1, 2, 0) - 30]))
    for name, picture in (("toned", lab2rgb(star(gray) + (0, 5, 20))), ("coloured", coloured)):
        Image.fromarray(np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)).save(tmp_path / f"{name}.png")
    colour([tmp_path / "toned.png", tmp_path / "coloured.png"], tmp_path / "out", colorizer)
    rows = report(tmp_path / "out")
    assert rows["toned.png"]["detail"] == ""
    assert rows["coloured.png"]["detail"] == "was in colour: its own colours are replaced"


# The command


def call(*arguments):
    from stages.colorize import command

    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_the_command_tells_how_it_went_by_its_status(keras, result, folder, tmp_path):
    given = (folder, "--run", result, "--out", tmp_path / "out")
    done = call(*given)
    assert done.exit_code == 0 and "colorize: 3 coloured, 0 there already, 0 failed" in done.stderr
    (folder / "c.jpg").write_bytes(b"broken")
    failed = call(*given)
    assert failed.exit_code == 1 and f"failed: {folder / 'c.jpg'}: not an image" in failed.stderr
    for wrong, expected in (
        (("--size", 3), "--size: expected a number of pixels in 8..4096, received 3"),
        (("--saturation", "nan"), "--saturation: expected a factor"),
        (("--compare", "--ab-only"), "--compare: "),
        (("--run", tmp_path), "error: "),
        (("--out", folder / "x"), "--out "),
    ):
        refused = call(*given, *wrong)
        assert refused.exit_code == 2 and expected in refused.stderr and len(refused.stderr.splitlines()) == 1


@pytest.mark.long
def test_a_call_that_is_killed_goes_on_and_ends_with_the_same_files(result, tmp_path):
    root = tmp_path / "in"
    root.mkdir()
    for number in range(60):
        Image.fromarray(photograph(600, 800, number)).save(root / f"{number}.png")
    command = [sys.executable, "-m", "stages.colorize", str(root), "--run", str(result), "--out"]
    once, killed = tmp_path / "once", tmp_path / "killed"
    assert subprocess.run([*command, str(once)], cwd=ROOT).returncode == 0
    while len(list(killed.glob("*.png"))) < 55:
        before = len(list(killed.glob("*.png")))
        process = subprocess.Popen([*command, str(killed)], cwd=ROOT)
        while process.poll() is None and len(list(killed.glob("*.png"))) < before + 15:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert subprocess.run([*command, str(killed)], cwd=ROOT).returncode == 0
    assert not list(killed.glob(".*.tmp*"))
    for path in once.glob("*.png"):
        assert path.read_bytes() == (killed / path.name).read_bytes()


@pytest.mark.long
@pytest.mark.parametrize("kind", ["gray.jpg", "rgb16.tif"])
def test_100_megapixels_take_less_than_4_gib(result, tmp_path, kind):
    gray = np.tile(photograph(1000, 1000), (10, 10))
    if kind == "gray.jpg":
        Image.fromarray(gray).save(tmp_path / kind)
    else:
        tifffile.imwrite(tmp_path / kind, np.dstack([gray.astype(np.uint16) * 257] * 3), photometric="rgb")
    code = (
        "import resource, sys; from stages.colorize import command\n"
        "try: command(sys.argv[1:])\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    arguments = [tmp_path / kind, "--run", result, "--out", tmp_path / "out"]
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # A run with an embedding needs some 0.9 GiB more.
    assert int(done.stdout) < 3 * 2**20
    assert (tmp_path / "out" / kind).exists()


@pytest.mark.long
def test_a_large_folder_takes_no_more_memory_than_a_small_one(keras, colorizer, tmp_path):
    import psutil

    (tmp_path / "in").mkdir()
    for number in range(600):
        Image.fromarray(photograph(60 + number % 7, 90 + number % 31, number)).save(tmp_path / "in" / f"{number}.jpg")
    seen = []
    real = colorizer.__call__

    class Watched:
        run, identity = colorizer.run, colorizer.identity

        def __call__(self, *given):
            seen.append(psutil.Process().memory_info().rss)
            return real(*given)

    assert colour([tmp_path / "in"], tmp_path / "out", Watched()).done == 600
    assert seen[-1] - seen[150] < 30 * 2**20
