"""Tiny real inputs: a few photograph-like arrays, and a whole dataset made of them through the library itself."""

import csv
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from PIL import Image
from skimage.color import deltaE_ciede2000, lab2rgb, rgb2lab
from skimage.metrics import structural_similarity

from pipeline.config import schema
from pipeline.config.sources import KaggleSource
from pipeline.core import files
from pipeline.dataset import splits
from pipeline.dataset.index import read_index
from pipeline.dataset.ingest import ingest
from pipeline.embedding import recipe, registry
from pipeline.images import lab
from pipeline.storage.layouts import EMBEDDINGS, IMAGES
from pipeline.storage.store import Store

ROOT = Path(__file__).parent.parent
# The smallest network that the notation allows at 224 pixels; trains in a second.
DOT = {"dot": schema.Architecture(encoder="4/2 4/2 4/2", fusion="1x1:4", decoder="4 ^ 4 ^ 2 ^")}

INCEPTION = registry.ENTRIES["inception_resnet_v2"]

# The metrics that need no pretrained network, in their order.
MEASURED = (
    "loss", "mse", "rmse", "accuracy", "psnr", "psnr_pooled", "ssim", "ciede2000", "ciede2000_p95", "auc",
    "auc_rebalanced", "colourfulness", "colourfulness_absolute", "delta_cf_images", "delta_cf_set", "chroma_ratio",
)  # fmt: skip
RESULT_FILES = {
    *("metrics.csv", "per_image.csv", "per_image.parquet", "differences.csv", "history.csv", "run.yaml", "files.json"),
    *(f"{name}.{kind}" for name in ("curves", "predictions", "errors", "chroma") for kind in ("png", "svg")),
    *("pictures", "model.keras", "model-card.md"),
}


def photographs(n, seed=0):
    """L (n, 224, 224) and ab (n, 224, 224, 2) uint8: blocks of warm sRGB colours, which compress well; L over 100."""
    rng = np.random.default_rng(seed)
    shade = rng.uniform(30, 230, (n, 14, 14, 1)) * (1.0, 0.85, 0.7) + rng.normal(0, 12, (n, 14, 14, 3))
    lightness, ab = lab.from_rgb(np.clip(shade, 0, 255).astype(np.uint8))
    return lightness.repeat(16, 1).repeat(16, 2), ab.repeat(16, 1).repeat(16, 2)


def write_kaggle(root, lightness, ab, cuts):
    """The archive as it unpacks, ab cut into parts before the rows `cuts`."""
    for name, array in [("l/gray_scale", lightness)] + [
        (f"ab/ab/ab{number}", part) for number, part in enumerate(np.split(ab, cuts), 1)
    ]:
        path = root / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, array)
    return KaggleSource(kind="kaggle", path=str(root))


def write_embeddings(images, path, seed=0):
    """A store of random embeddings of `images`, with all records: `embed` finds it finished and asks no network."""
    store = Store(path, INCEPTION.layout())
    settings = recipe.settings(schema.Embedding(), images.rows_per_shard())
    store.create(images.rows(), images.rows_per_shard(), {"settings": settings, "versions": {}}, replace=True)
    values = np.random.default_rng(seed).normal(0, 0.5, (images.rows(), 1000)).astype(np.float32)
    for shard in range(store.shard_count()):
        facts = {"settings": files.fingerprint(settings), "input": images.record(shard)["files"]["L"]}
        store.write_shard(shard, {"embedding": values[slice(*store.span(shard))]}, **facts)
    files.write_json(path.with_name("embedding_network.json"), recipe.weights(schema.Embedding()))
    store.complete({"images": images.manifest()["fingerprint"]})
    return store


@dataclass(frozen=True)
class Dataset:
    """Where a dataset lies: ``<folder>/images.zarr`` and what belongs to it."""

    folder: Path

    @property
    def images(self):
        return Store(self.folder / "images.zarr", IMAGES)

    @property
    def embeddings(self):
        return Store(self.folder / "embeddings.zarr", EMBEDDINGS)

    @property
    def splits(self):
        return self.folder / "splits.csv"

    @property
    def baselines(self):
        return self.folder / "baselines.csv"

    @property
    def sources(self):
        return self.images, self.embeddings, self.splits

    def rows(self, partition):
        table = splits.read(self.splits, self.images.manifest()["fingerprint"])
        return np.flatnonzero(np.array([row["partition"] for row in table]) == partition)

    def arrays(self, partition):
        """L, ab and embeddings of a partition."""
        rows = self.rows(partition)
        stores = (("L", self.images), ("ab", self.images), ("embedding", self.embeddings))
        return [np.asarray(store.array(name)[:])[rows] for name, store in stores]


def make_dataset(folder, n=15, seed=0, arrays=None, split=None):
    """Images, `photographs` or (L, ab) `arrays`, their embeddings and a split, in shards of 8."""
    dataset = Dataset(folder)
    source = write_kaggle(folder.parent / f"{folder.name}-archive", *(arrays or photographs(n, seed)), [n // 2])
    ingest(source, dataset.images, images_per_shard=8, scheduler="synchronous")
    write_embeddings(dataset.images, dataset.embeddings.path, seed)
    fingerprint = dataset.images.manifest()["fingerprint"]
    splits.write(read_index(dataset.images), dataset.splits, split or schema.Split(), fingerprint)
    return dataset


def shown(lightness, ab):
    """The picture, (H, W, 3) uint8, of L (H, W) and ab (H, W, 2), by nothing of ours."""
    chroma = np.clip(np.rint(np.asarray(ab, float)), 0, 255) - 128
    return np.rint(255 * np.clip(lab2rgb(np.dstack([lightness / 2.55, chroma])), 0, 1)).astype(np.uint8)


def colourfulness(picture, of=lambda values: values):
    red, green, blue = np.moveaxis(picture.astype(float), -1, 0)
    rg, yb = of(red - green), of((red + green) / 2 - blue)
    return np.sqrt(rg.var() + yb.var()) + 0.3 * np.sqrt(rg.mean() ** 2 + yb.mean() ** 2)


def literal(lightness, ab, answer):
    """The metrics of a set of images (n, ...), from their definitions: loops and scikit-image, nothing of ours."""
    per_image, weighted, weights = [], 0.0, 0.0
    bins = np.floor((ab.astype(float) - 128) / 10)
    found, counts = np.unique(bins[..., 0] + 1j * bins[..., 1], return_counts=True)
    share = {(bin_.real, bin_.imag): count / counts.sum() for bin_, count in zip(found.tolist(), counts, strict=True)}
    for level, true, said in zip(lightness, ab.astype(float), np.asarray(answer, float), strict=True):
        one, two = shown(level, said), shown(level, true)
        rgb_mse = np.mean((one.astype(float) - two.astype(float)) ** 2)
        visible = deltaE_ciede2000(rgb2lab(one), rgb2lab(two))
        distance = np.sqrt(((said - true) ** 2).sum(axis=-1))
        within = sum((distance <= t).astype(float) for t in range(151)) / 151
        bins = np.floor((true - 128) / 10)
        for bin_ in share:
            here = (bins[..., 0] == bin_[0]) & (bins[..., 1] == bin_[1])
            weight = 1 / max(share[bin_], 1e-4)
            weighted += weight * within[here].sum()
            weights += weight * here.sum()
        windows = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
        with np.errstate(divide="ignore"):
            psnr = 10 * np.log10(255**2 / rgb_mse)
        per_image.append({
            "mse": np.mean((said - true) ** 2), "rgb_mse": rgb_mse, "psnr": psnr,
            "accuracy": np.mean(said.argmax(-1) == true.argmax(-1)),
            "ssim": np.mean([structural_similarity(one[..., c], two[..., c], **windows) for c in range(3)]),
            "ciede2000": visible.mean(), "ciede2000_p95": np.quantile(visible, 0.95), "auc": within.mean(),
            "colourfulness": colourfulness(one), "colourfulness_true": colourfulness(two),
            "colourfulness_absolute": colourfulness(one, np.abs),
            "chroma": np.hypot(*(said - 128).reshape(-1, 2).T).mean(),
            "chroma_true": np.hypot(*(true - 128).reshape(-1, 2).T).mean(),
        })  # fmt: skip
    mean = {name: float(np.mean([each[name] for each in per_image])) for name in per_image[0]}
    with np.errstate(divide="ignore"):
        pooled = 10 * np.log10(255**2 / mean.pop("rgb_mse"))
    return {
        "rmse": mean["mse"] ** 0.5,
        "psnr_pooled": pooled,
        "auc_rebalanced": weighted / weights,
        "delta_cf_images": np.mean([abs(each["colourfulness"] - each["colourfulness_true"]) for each in per_image]),
        "delta_cf_set": abs(mean["colourfulness"] - mean.pop("colourfulness_true")),
        "chroma_ratio": mean.pop("chroma") / mean.pop("chroma_true"),
        **mean,
    }


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def value(rows, partition, answer, metric):
    """One number of rows of scores."""
    (found,) = [r for r in rows if (r["partition"], r["answer"], r["metric"]) == (partition, answer, metric)]
    return float(found["value"])


def tree(folder):
    """The bytes of every file below a folder but locks and measured costs, by relative path."""
    left_out = (".lock", "predicting_times.csv", ".costs.csv")
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith(left_out))
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def python(*arguments, **options):
    """Run Python in the repository's root, in a process of its own."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=300, **options
    )


def until(condition, seconds=10.0):
    """What `condition` returns, as soon as that is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found


def make_run(folder, name, start_at=(150.0, 160.0), **record):
    """``results/<run>/`` of a network with strong colours that vary."""
    from pipeline.networks import builder, saving

    model = builder.build("dot", seed=3, start_at=start_at, embedding=False, architectures=DOT)
    model.get_layer("ab").kernel.assign(10 * model.get_layer("ab").kernel)
    saving.save(model, folder / name / "model.keras")
    (folder / name / "run.yaml").write_text(yaml.safe_dump({"run": name, "embedding": {"weights": "none"}, **record}))
    files.write_listing(folder / name)
    return folder / name


def gray_photograph(height, width, seed=0):
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


def refused(result, *expected):
    """The result of a command is one line with these parts, and exit code 2."""
    assert result.exit_code == 2 and result.stdout == "", result.output
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("error: ")
    for part in expected:
        assert part in line


def pixels(path):
    """RGB (H, W, 3) uint8 of a PNG that names no software."""
    with Image.open(path) as image:
        assert image.format == "PNG" and "Software" not in image.info
        return np.asarray(image.convert("RGB"))
