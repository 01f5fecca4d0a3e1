"""Results as the other stages write them, made up: the page is tested on them without training anything."""

import colorsys
import csv
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

NASTY = "bad<img src=x onerror=alert(1)>&\"'_lr1"  # a run's name that holds markup
NASTY_ID = "</script><b>&\"'"
METRICS = {
    "rmse": (15.0, "lower"), "ciede2000": (9.0, "lower"),
    "ciede2000_p95": (21.0, "lower"), "accuracy": (0.61, "higher"),
    "psnr": (23.0, "higher"), "psnr_pooled": (22.5, "higher"), "ssim": (0.9, "higher"), "auc": (0.93, "higher"),
    "auc_rebalanced": (0.9, "higher"), "chroma_ratio": (0.5, None), "colourfulness": (20.0, None),
    "delta_cf_images": (12.0, "lower"), "mse": (225.0, "lower"), "loss": (230.0, "lower"),
}  # fmt: skip
REFERENCES = {"gray": 1.25, "mean": 1.1, "majority": 1.05, "shuffled": 1.3, "ceiling": 0.2}
PAPER = {"validation": 0.58, "test": 0.56}


@dataclass
class Fake:
    """Where made-up results lie."""

    results: Path
    data: Path

    def pictures(self, dataset):
        return self.data / dataset / "pictures"


def _factor(metric, worse):
    """A metric's value for an answer that is `worse` times as far from the truth."""
    value, better = METRICS[metric]
    return value * worse if better == "lower" else value / (1 + 0.2 * (worse - 1))


def metric_rows(run, dataset, worse, n, *, interval=True, answers=("model",), validation_worse=None):
    rows = []
    for partition in ("train", "validation", "test"):
        factor = validation_worse if validation_worse is not None and partition == "validation" else worse
        for answer, times in {**dict.fromkeys(answers, factor), **REFERENCES}.items():
            for metric in METRICS:
                if (answer == "majority") != (metric == "accuracy") and answer == "majority":
                    continue
                if answer in REFERENCES and metric == "loss":
                    continue
                value = _factor(metric, times) * (1 + 0.1 * answers.index(answer) if answer in answers else 1)
                ends = ("", "") if not interval or math.isnan(value) else (value * 0.95, value * 1.05)
                settings = "embedding weights: RANDOM; finished"
                if not interval:
                    settings += "; no interval: 3 groups, fewer than 10"
                rows.append((run, dataset, partition, n, answer, metric, value, *ends, settings))
        if partition in PAPER:
            rows.append((run, dataset, partition, "", "paper", "accuracy", PAPER[partition], "", "", "its own images"))
    return rows


def difference_rows(rows):
    value = {(row[2], row[4], row[5]): row[6] for row in rows}
    found = []
    for (partition, answer, metric), mine in value.items():
        if answer != "model":
            continue
        for against in ("gray", "mean", "majority", "embedding-shuffled"):
            if (partition, against, metric) not in value:
                continue
            gap = mine - value[partition, against, metric]
            better = METRICS[metric][1]
            ends = ("", "") if math.isnan(gap) else (gap - 1e-3, gap + 1e-3)
            if math.isnan(gap):
                verdict = "no interval"
            elif better is None or abs(gap) <= 1e-3:
                verdict = "no clear difference"
            else:
                verdict = "better" if (gap < 0) == (better == "lower") else "worse"
            found.append((*rows[0][:2], partition, 9, answer, against, metric, gap, *ends, verdict))
    return found


def write_csv(path, header, rows):
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(rows)


METRIC_HEADER = "run,dataset,partition,n,answer,metric,value,low,high,settings"
DIFFERENCE_HEADER = "run,dataset,partition,n,answer,against,metric,value,low,high,verdict"
IMAGE_HEADER = "run,dataset,partition,id,group,row,answer,metric,value"


def photograph(path, hue, kind="true", size=224):
    """A tiny but real JPEG: hills under a sky."""
    y, x = np.mgrid[0:size, 0:size] / size
    hill = y > 0.55 + 0.2 * np.sin(3 * x + 6 * hue)
    sky, grass = colorsys.hsv_to_rgb(hue, 0.6, 0.95), colorsys.hsv_to_rgb(hue + 0.4, 0.7, 0.6)
    rgb = np.where(hill[..., None], grass, sky) * (0.6 + 0.4 * (1 - y * x))[..., None] * 255
    if kind != "true":
        gray = rgb @ (0.299, 0.587, 0.114)
        tint = (1, 1, 1) if kind == "gray" else (1.15, 1.0, 0.8)
        rgb = gray[..., None] * tint + (0 if kind == "gray" else 0.3) * (rgb - gray[..., None])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8)).save(path, quality=90)


def figure(path, title):
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="1200" height="560" viewBox="0 0 1200 560">'
        '<rect width="1200" height="560" fill="white"/><path d="M80 60 C 300 480 600 420 1140 500" fill="none" '
        f'stroke="#0072B2" stroke-width="4"/><text x="80" y="40" font-size="24">{title}</text></svg>'
    )


def add_run(
    fake, run, *, worse=0.8, dataset="sample", images=12, interval=True, diverged=False, weights="imagenet",
    findings=None, ids=None, source=None, validation_worse=None,
):  # fmt: skip
    """Add a run. `source`: a JPEG that every picture is a hard link of."""
    folder = fake.results / run
    (folder / "pictures").mkdir(parents=True)
    worse = math.nan if diverged else worse
    answers = ("model", "embedding-shuffled", "embedding-mean")
    rows = metric_rows(
        run, dataset, worse, images, interval=interval, answers=answers, validation_worse=validation_worse
    )
    write_csv(folder / "metrics.csv", METRIC_HEADER, rows)
    write_csv(folder / "differences.csv", DIFFERENCE_HEADER, difference_rows(rows))
    write_csv(folder / "history.csv", "epoch,loss", [(1, 300.0)])
    ids = ids or [f"holiday in the mountains/photograph {i}.jpg" for i in range(images)]
    per_image = []
    for answer in answers:
        for metric, (value, _) in list(METRICS.items())[:7]:
            for i in range(images):
                of_image = math.nan if diverged else value * (0.5 + ((7 * i + len(run)) % images) / images) * worse
                per_image.append((run, dataset, "test", ids[i], i // 2, 3 + 2 * i, answer, metric, of_image))
            per_image.append((run, dataset, "train", "other", 99, 4, answer, metric, 1.0))
    for i in range(0 if diverged else images):
        path = folder / "pictures" / f"{3 + 2 * i:06d}.jpg"
        if source:
            os.link(source, path)
        else:
            photograph(path, i / images, "predicted")
    write_csv(folder / "per_image.csv", IMAGE_HEADER, per_image)
    for name in ("curves", "chroma", "errors", "predictions"):
        figure(folder / f"{name}.svg", name)
    record = {
        "run": run,
        "dataset": dataset,
        "status": "diverged in epoch 3" if diverged else "finished",
        "epochs": 3 if diverged else 20,
        "best_epoch": None if diverged else 18,
        "weights_evaluated": "best",
        "embedding": {"weights": weights, "seed": 0},
        "findings": findings if findings is not None else [f"Test RMSE {15 * worse:.1f}: the mean colour has 16.5."],
        "seeds": {"training": 0, "split": 4},
        "settings": {
            "run": run,
            "training": {"start_at": "mean", "patience": None},
            "architecture": {"encoder": "64/2"},
        },
        "configuration": {"data": "data"},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(record, sort_keys=False))
    (folder / "model.keras").write_bytes(b"weights")
    return folder


def add_truth(fake, dataset="sample", images=12, source=None):
    for kind in ("true", "gray"):
        for i in range(images):
            path = fake.pictures(dataset) / kind / f"{3 + 2 * i:06d}.jpg"
            if source:
                path.parent.mkdir(parents=True, exist_ok=True)
                os.link(source, path)
            else:
                photograph(path, i / images, kind)


def small(root):
    """Four runs: a good one, a RANDOM and bad one that holds markup, a diverged one, one of another dataset."""
    fake = Fake(root / "results", root / "data")
    add_truth(fake)
    add_truth(fake, "kaggle", 3)
    add_run(fake, "base_lr1e-4", findings=["Test RMSE 12.0: better than the training images' mean colour (16.5)."])
    add_run(
        fake, NASTY, worse=1.2, validation_worse=0.7, weights="random", interval=False, ids=[NASTY_ID] * 12,
        findings=["Test RMSE 18.0: not better than the training images' mean colour (16.5). <b>&amp;</b>"],
    )  # fmt: skip
    add_run(fake, "base_lr1e-1", diverged=True, findings=["Training diverged in epoch 3: there is no number."])
    add_run(fake, "arch1_lr1e-2", dataset="kaggle", images=3, worse=0.9)
    return fake


def big(root, runs=25, images=5000):
    """Runs of many images, all hard links of one 224x224 JPEG of a photograph's size."""
    fake = Fake(root / "results", root / "data")
    source = root / "source.jpg"
    rng = np.random.default_rng(0)
    noise = rng.normal(128, 25, (56, 56, 3)).clip(0, 255).astype(np.uint8)
    root.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).resize((224, 224), Image.Resampling.BICUBIC).save(source, quality=90)
    add_truth(fake, images=images, source=source)
    for number in range(runs):
        own = root / f"source{number}.jpg"  # a file system may limit the number of links to one file
        own.write_bytes(source.read_bytes())
        folder = add_run(fake, f"base_lr1e-4_s{number + 1}", images=images, source=own, worse=0.7 + 0.02 * number)
        for name in ("curves", "chroma", "errors", "predictions"):
            (folder / f"{name}.svg").unlink()
            (folder / f"{name}.svg").write_text(
                '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 12 5"><!--' + "x" * 150_000 + "--></svg>"
            )
        (folder / "predictions.png").write_bytes(source.read_bytes() * 60)
    return fake
