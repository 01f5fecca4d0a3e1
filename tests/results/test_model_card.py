"""The model card: what it says of good, bad, diverged and RANDOM runs, and that it is valid Markdown."""

import re

import fake_results
import pytest
import yaml
from fake_results import NASTY_ID
from pages import Html
from tiny import INCEPTION

from pipeline.config.runs import Run
from pipeline.config.schema import Embedding
from pipeline.config.sources import FolderSource, KaggleSource, SampleSource
from pipeline.core import csv_files
from pipeline.core.errors import InputError
from pipeline.embedding import recipe
from pipeline.networks.notation import ARCHITECTURES
from pipeline.results import model_card

RUN = "base_lr1e-4"
DIGEST = "5" * 64
RANDOM = {**recipe.settings(Embedding(network=INCEPTION.name, weights="random"), 64)}
IMAGENET = {**RANDOM, "weights": "imagenet", "md5": INCEPTION.weights_digest[1]}
for key in ("seed", "recipe"):
    del IMAGENET[key]
CLAIMS = ("better", "worse", "paler", "stronger")


def add(tmp_path, run=RUN, *, embedding=IMAGENET, source=None, info=None, **options):
    """Results as evaluation leaves them, of a run; their folder."""
    fake = fake_results.Fake(tmp_path / "results", tmp_path / "data")
    folder = fake_results.add_run(fake, run, **options)
    path = folder / "run.yaml"
    record = yaml.safe_load(path.read_text())
    named = Run.parse(run)
    record |= {
        "weights_sha256": DIGEST,
        "embedding": embedding if named.embedding else {"weights": "none"},
        "embedding_weights": {"files": {"embedding_network.weights.h5": DIGEST}} if named.embedding else None,
        "seeds": {"training": named.seed, "split": 4, "evaluation": 0},
        "fingerprints": {"images": "1" * 64, "embeddings": "2" * 64, "split": "3" * 64},
        "versions": {"deepcolor": "0.1.0", "keras": "3.15.1"},
        "backend": {"keras": "tensorflow", "precision": "float32", "threads": 2},
        "settings": {
            "architecture": ARCHITECTURES[named.architecture].model_dump(),
            "training": {"precision": "float32", "start_at": "mean", "patience": None},
            "limit": None,
            "images": {"source": (source or SampleSource()).model_dump()},
        },
        **(info or {}),
    }
    path.write_text(yaml.safe_dump(record, sort_keys=False))
    return folder


def card(folder):
    """Front matter and text of the card of a run."""
    path = folder.parent / "card.md"
    model_card.write(folder, folder.name, path)
    _, front, text = path.read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(front), text


def section(text, title):
    return " ".join(text.split(f"## {title}\n")[1].split("\n## ")[0].split())


def test_a_card_says_what_the_network_is_and_how_it_was_made(tmp_path):
    front, text = card(add(tmp_path, source=KaggleSource(path="archive"), dataset="kaggle"))
    assert front == {
        "license": "other", "license_name": "that-of-the-training-data", "library_name": "keras",
        "pipeline_tag": "image-to-image", "tags": ["colorization", "deepcolor"],
        "metrics": ["rmse", "ciede2000", "psnr", "ssim", "accuracy", "chroma_ratio"],
    }  # fmt: skip
    told = Html(text).told()
    for part in (
        "Architecture base: encoder 64/2 128 128/2 256 256/2 512 512 256",
        "6,606,994 parameters",
        "divisible by 8. embedding (batch, 1000), see below",
        "Embedding: the logits of the embedding network for the gray photograph",
        f"Weights: Inception-ResNet-v2, ImageNet, digest {DIGEST}",
        'Dataset kaggle: arrays in the layout of Kaggle\'s "image-colorization" (shravankumar9892); whether',
        "Gray photographs were not looked for",
        "Status: finished, after 20 epochs. Best epoch, by validation MSE: 18.",
        "the best weights",
        "plus 1e-2 times the sum of squares",
        "Adam, learning rate 1e-4, batch size 5, precision float32.",
        "training 0, split 4, evaluation 0",
        "Test RMSE 12.0: the mean colour has 16.5.",
        "Where the arrays come from was not checked: state their licence here",
        "the ImageNet weights of Inception-ResNet-v2, which are not in this folder",
        "Made with deepcolor 0.1.0, keras 3.15.1; Keras on tensorflow, 2 threads.",
        "snakemake --cores 4 again/results/base_lr1e-4 --configfile again.yaml",
        "The colours are guesses, not evidence.",
    ):
        assert part in told, part
    assert "RANDOM" not in text and "diverged" not in text
    assert re.findall(r"\b[a-z_]+\(\)|None|Undefined|\{\{|\}\}|%\}", text) == []


def test_its_tables_hold_the_scores_with_intervals_beside_the_reference_answers(tmp_path):
    page = Html(card(add(tmp_path))[1])
    partitions, test, validation, fingerprints = (
        [row for row in page.rows if len(row) == size] for size in (3, 6, 6, 2)
    )
    assert partitions == [
        ["partition", "images", "groups"], ["train", "12", "1"], ["validation", "12", "0"], ["test", "12", "6"],
    ]  # fmt: skip
    assert test[0] == ["metric", "this run", "gray", "mean colour", "majority", "paper"]
    assert test[1] == [
        "RMSE", "12.00 (11.40 to 12.60)", "18.75 (17.81 to 19.69)", "16.50 (15.67 to 17.32)", "–", "–",
    ]  # fmt: skip
    (accuracy,) = {row[5] for row in test if row[0] == "accuracy"} - {"0.5800"}
    assert accuracy == "0.5600" and len(validation) == 14
    assert ["weights", DIGEST] in fingerprints and ["images", "1" * 64] in fingerprints


def test_what_it_is_bad_at_is_what_was_measured(tmp_path):
    folder = add(tmp_path, worse=1.2, interval=False, info={"best_epoch": 20})
    text = card(folder)[1]
    bad = section(text, "What it is bad at")
    for part in (
        "RMSE no better than mean colour",
        "only 12 images (1 group)",
        "Fewer than 10 groups of images (test: 6 groups, validation: 0 groups)",
        "The last epoch was the best one",
        "paler than the true ones: 48% of the true pictures' chroma; without an interval",
    ):
        assert part in bad, part
    rows = [row for row in csv_files.read(folder / "per_image.csv", ["metric"]) if row["metric"] == "ciede2000"]
    errors = sorted(float(r["value"]) for r in rows if r["answer"] == "model" and r["partition"] == "test")
    named = [float(value) for value in re.findall(r"`: ([0-9.]+) \([0-9.]+\)", bad)]
    assert named == pytest.approx(errors[:-6:-1], abs=0.006)


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (0.9, 0.8, 0.99, "Its colours are paler than the true ones: 90% of the true pictures' chroma."),
        (0.9, 0.8, 1.05, "not clear whether its colours are paler or stronger than the true ones: 90% of"),
        (1.2, 0.9, 1.4, "not clear whether its colours are paler or stronger than the true ones: 120% of"),
        (1.2, 1.1, 1.4, "Its colours are stronger than the true ones: 120% of"),
        (1.2, "", "", "stronger than the true ones: 120% of the true pictures' chroma; without an interval"),
        (1.0, "", "", None),
    ],
)
def test_a_difference_whose_interval_holds_zero_is_not_called_one(tmp_path, value, low, high, said):
    folder = add(tmp_path)
    rows = csv_files.read(folder / "metrics.csv", ["metric"])
    for row in rows:
        if (row["partition"], row["answer"], row["metric"]) == ("test", "model", "chroma_ratio"):
            row.update(value=value, low=low, high=high)
    csv_files.write(folder / "metrics.csv", list(rows[0]), rows)
    bad = section(card(folder)[1], "What it is bad at")
    assert said in bad if said else "chroma" not in bad


def test_a_run_that_is_as_good_as_the_mean_colour_is_nowhere_called_better(tmp_path):
    findings = ["RMSE 16.50, 16.50 for the mean colour: no clear difference (difference +0.00)."]
    folder = add(tmp_path, worse=1.1, findings=findings)
    rows = csv_files.read(folder / "differences.csv", ["verdict"])
    csv_files.write(folder / "differences.csv", list(rows[0]), [{**r, "verdict": "no clear difference"} for r in rows])
    text = card(folder)[1]
    assert "RMSE no better than mean colour; RMSE no better than gray" in section(text, "What it is bad at")
    told = section(text, "How well it colours").replace("counts as better or worse only if", "")
    for explained in re.findall(r"(?:lower|higher) is better", told):
        told = told.replace(explained, "")
    assert not [word for word in CLAIMS if word in told]


def test_a_named_experiment_is_told_by_its_settings(tmp_path):
    folder = add(tmp_path)
    record = yaml.safe_load((folder / "run.yaml").read_text())
    record["settings"] |= {
        "run": "mine",
        "experiment": {
            "name": "mine", "architecture": "base", "learning_rate": "5e-3", "l2": "0", "batch_size": 7, "seed": 0,
            "embedding": True,
        },
    }  # fmt: skip
    (folder / "run.yaml").write_text(yaml.safe_dump(record))
    for name in ("metrics.csv", "differences.csv", "per_image.csv"):
        (folder / name).write_text((folder / name).read_text().replace(f"{RUN},", "mine,"))
    text = card(folder.rename(folder.with_name("mine")))[1]
    assert "# Model card: `mine`" in text and "learning rate 5e-3, batch size 7" in text and "results/mine " in text


def test_random_weights_are_loud_and_of_no_pretrained_network(tmp_path):
    front, text = card(add(tmp_path, embedding=RANDOM))
    first = text.split("\n## ")[0]
    assert f"> **Embedding weights: {recipe.label(RANDOM)}.**" in first
    assert "never trained" in section(text, "What it is bad at")
    assert "no pretrained weights" in section(text, "Licence") and "ImageNet weights" not in text
    assert "random-embedding-weights" in front["tags"]


def test_weights_of_a_file_are_told_as_the_users(tmp_path):
    text = card(add(tmp_path, embedding={**IMAGENET, "weights": "file", "md5": "abc"}))[1]
    assert "**Inception-ResNet-v2, a file with MD5 abc, not the official one**" in text
    assert "the user's own weights file" in section(text, "Licence")


def test_a_run_without_embedding_speaks_of_none(tmp_path):
    front, text = card(add(tmp_path, f"{RUN}_noembed", embedding=RANDOM))
    assert "**Embedding**: none." in text and "6,350,994 parameters" in text
    for absent in ("RANDOM", "InceptionResNetV2", "ImageNet", "batch, 1000", "pretrained", "MD5"):
        assert absent not in text, absent
    assert front["tags"] == ["colorization", "deepcolor"]


def test_a_diverged_run_says_so_first_and_has_no_numbers(tmp_path):
    front, text = card(add(tmp_path, "base_lr1e-1", diverged=True, findings=["The network's answers are not numbers."]))
    first = text.split("\n## ")[0]
    assert "> **Training diverged in epoch 3**: the loss or a weight stopped being a finite number." in first
    assert "it is useless" in first
    assert "Best epoch, by validation MSE: none. Scored and saved: the last weights." in " ".join(text.split())
    assert "no answer: not a number" in section(text, "What it is bad at")
    assert "Worst test images" not in text and "paler" not in text
    assert "metrics" not in front and "diverged" in front["tags"]
    rescued = card(add(tmp_path, "base_lr1e-2", info={"status": "diverged in epoch 3", "best_epoch": 2}))[1]
    assert "This is the network of epoch 2, before that happened." in rescued
    last = {"status": "diverged in epoch 3", "best_epoch": 2, "weights_evaluated": "last"}
    assert "it is useless" in card(add(tmp_path, "base_lr1e-3", info=last))[1]


@pytest.mark.parametrize(
    ("source", "gray", "licence"),
    [
        (SampleSource(), "were not looked for", "Middlebury 2014 stereo benchmark"),
        (KaggleSource(path="/home/me"), "whether they are that dataset was not checked", "state their licence here"),
        (FolderSource(path="/home/me", gray_below=2.5), "mean chroma below 2.5 CIE Lab units", "the user's"),
    ],
)
def test_data_are_described_by_their_kind_and_no_path_is_told(tmp_path, source, gray, licence):
    text = card(add(tmp_path, source=source))[1]
    assert gray in section(text, "Data") and licence in section(text, "Licence")
    assert "/home/me" not in text


NAMES = (
    NASTY_ID, "`a` ``b", "``", "*a* _b_ [c](http://d.e) <img src=x> | e | &amp; $f$ #g",
    "https://evil.example www.x.yz", "a\nb\u202e\x00c", " ", "",
)  # fmt: skip


def test_names_of_users_stay_names(tmp_path):
    ids = [*NAMES, *map(str, range(12 - len(NAMES)))]
    ids.sort(key=lambda name: name not in NAMES)
    findings = ["A *b* _c_ `d` <script>alert(1)</script> [e](http://f) | g | ~~h~~ $i$ &lt; https\\"]
    folder = add(tmp_path, dataset="a_b_c", ids=ids, findings=findings)
    rows = csv_files.read(folder / "per_image.csv", ["value"])
    for row in rows:  # the names are those of the worst images
        row["value"] = float(row["value"]) + (1000 * (row["id"] in NAMES))
    csv_files.write(folder / "per_image.csv", list(rows[0]), rows)
    model_card.WORST, before = len(NAMES), model_card.WORST
    try:
        text = card(folder)[1]
    finally:
        model_card.WORST = before
    page = Html(text)
    assert not {"script", "img", "b", "a", "s", "del"} & set(page.tags)
    assert findings[0] in page.text
    for name in NAMES:
        shown = "".join(c if c.isprintable() else " " for c in name)
        assert not shown.strip() or shown in page.spans, name
    assert "(empty)" in page.text and "a_b_c" in page.spans
    clean = Html(card(add(tmp_path, "base_lr1e-3", dataset="plain"))[1])
    assert page.tags.count("h2") == clean.tags.count("h2") and page.tags.count("tr") == clean.tags.count("tr")


def test_equal_results_give_equal_bytes(tmp_path):
    cards = []
    for part in ("one", "two"):
        model_card.write(add(tmp_path / part, worse=0.9), RUN, tmp_path / part / "card.md")
        cards.append((tmp_path / part / "card.md").read_bytes())
    assert cards[0] == cards[1] and str(tmp_path).encode() not in cards[0]


def test_results_that_lack_something_are_refused(tmp_path):
    folder = add(tmp_path, info={"fingerprints": None, "seeds": {}})
    with pytest.raises(InputError, match=r"run\.yaml: .*'split'"):
        card(folder)
    (folder / "metrics.csv").unlink()
    with pytest.raises(InputError, match=r"metrics\.csv"):
        card(folder)
    assert not (tmp_path / "results" / "card.md").exists()


def test_a_network_of_lightness_alone_has_no_embedding(tmp_path):
    told = Html(card(add(tmp_path, run="zhang_lr3e-5", embedding={"weights": "none"}))[1]).told()
    assert "Embedding: none. Lightness is the only input." in told and "32,240,377 parameters" in told


def test_the_card_says_how_to_sample_a_network_with_latent_variables(tmp_path):
    told = Html(
        card(add(tmp_path, run="vae_lr1e-3", embedding={**IMAGENET, "network": "efficientnet_lite0"}))[1]
    ).told()
    assert "noise (batch, 64): zeros for its one answer" in told
