"""Paths and file names that several modules know. Each class describes one folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload

from pipeline.core import files
from pipeline.storage.layouts import EMBEDDINGS, FEATURES, IMAGES, StoreLayout

if TYPE_CHECKING:
    from pipeline.config.schema import Config
    from pipeline.storage.store import Store

SHIPPED = Path(__file__).parents[1] / "weights"  # the published network that comes with DeepColor


class _Folder(Protocol):
    @property
    def directory(self) -> Path: ...


class Under:
    """A file in the folder that a class describes: on an instance its path, on the class its `name`."""

    def __init__(self, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, folder: None, kind: type) -> "Under": ...
    @overload
    def __get__(self, folder: _Folder, kind: type) -> Path: ...
    def __get__(self, folder: _Folder | None, kind: type) -> "Under | Path":
        return self if folder is None else folder.directory / self.name


def manifest_of(table: Path) -> Path:
    """Return the manifest beside a table; written last."""
    return table.with_suffix(".json")


def scratch_of(images: "Store") -> Path:
    """Return the folder beside a store in which ingest caches what it learnt about photographs."""
    return images.path.with_suffix(".scratch")


SWEEPS = "sweeps"  # the folder of sweeps in results/


@dataclass
class DatasetFiles:
    """``data/<dataset>/``: files shared by all runs."""

    directory: Path

    index = Under("index.csv")  # one row per image
    report = Under("report.csv")  # photographs that were not used, and duplicates
    splits = Under("splits.csv")
    added = Under("added.csv")  # the images that the last growth of the dataset added to the split
    baselines = Under("baselines.csv")  # scores of the baselines; see `BaselineFiles`
    network = Under("embedding_network.weights.h5")  # the embedding network's weights, if random
    network_manifest = Under("embedding_network.json")  # kind and digest of the embedding network's weights

    @property
    def images(self) -> "Store":
        """The store of images."""
        return self.store(IMAGES)

    @property
    def embeddings(self) -> "Store":
        """The store of embeddings."""
        return self.store(EMBEDDINGS)

    @property
    def features(self) -> "Store":
        """The store of feature maps."""
        return self.store(FEATURES)

    def store(self, layout: StoreLayout) -> "Store":
        """The store of a layout."""
        from pipeline.storage.store import Store

        return Store(self.directory / f"{layout.kind}.zarr", layout)

    @classmethod
    def beside(cls, store: "Store") -> "DatasetFiles":
        """Return the files beside a store."""
        return cls(store.path.parent)


@dataclass(frozen=True)
class BaselineFiles:
    """The scores of the baselines, a CSV file of any name, and the files beside it."""

    scores: Path

    recognition = Under("recognition.npz")  # of the true images, with ImageNet weights only
    pictures = Under("pictures")  # of the test images: true/ and gray/

    @property
    def directory(self) -> Path:
        """The folder of the scores."""
        return self.scores.parent

    @property
    def manifest(self) -> Path:
        """The manifest of the scores; written last."""
        return manifest_of(self.scores)

    @property
    def per_image(self) -> Path:
        """The table of the scores of each image."""
        return self.scores.with_name(f"{self.scores.stem}_per_image.csv")


@dataclass(frozen=True)
class RunFiles:
    """``models/<run>/``: the training of a run."""

    directory: Path

    settings = Under("settings.json")  # written before training starts
    checkpoint = Under("checkpoint.npz")  # the newest
    history = Under("history.csv")  # one row per epoch
    times = Under("times.csv")  # seconds per epoch; only this file and the next one differ between equal runs
    predicting = Under("predicting_times.csv")  # seconds per image
    head = Under("head.npz")  # bins, prior and weights of a head that was fitted to the training images
    start = Under("start.keras")  # the saved network whose weights training started from, if any
    summary = Under("training.json")  # how training ended; written last
    tensorboard = Under("tensorboard")
    evaluation = Under("evaluation")  # scores and figures written by version 0.1.0

    def weights(self, which: str) -> Path:
        """Return the path of the "best" or the "last" weights."""
        return self.directory / f"{which}.weights.h5"


@dataclass(frozen=True)
class ResultFiles:
    """``results/<run>/``: scores, figures and network of a run; replaced as a whole."""

    directory: Path

    record = Under("run.yaml")  # settings, versions and fingerprints
    metrics = Under("metrics.csv")
    per_image = Under("per_image.csv")
    differences = Under("differences.csv")  # to the baselines
    history = Under(RunFiles.history.name)
    model = Under("model.keras")
    head = Under(RunFiles.head.name)
    card = Under("model-card.md")
    pictures = Under("pictures")  # of the test images
    published = Under("network.onnx")  # only in the folder of a published network; see `pipeline.publishing.publish`
    spreading = Under("hints.npy")  # likewise: how hints spread; see `pipeline.colorize.spreading`
    refining = Under("hints.onnx")  # likewise: keeps hints on their things; see `pipeline.colorize.refining`
    hint_scores = Under("hints.csv")  # likewise: how much hints help
    photographs = Under("photographs.csv")  # likewise: those that it was trained and tested on
    listing = Under(files.LISTING)  # digests of the other files; written last

    def figure(self, name: str, kind: str = "png") -> Path:
        """Return the path of a figure, as "png" or "svg"."""
        return self.directory / f"{name}.{kind}"

    def datasets(self, record: Mapping[str, Any]) -> list[DatasetFiles]:
        """Return the possible locations of the run's dataset: relative to the current folder, or beside the results."""
        configuration = record["configuration"]
        path = Path(configuration["data"]).expanduser() / configuration["dataset"]
        return [DatasetFiles(path), DatasetFiles(self.directory.resolve().parents[1] / path)]


@dataclass(frozen=True)
class SummaryFiles:
    """``results/``: one folder per run, the summary of all runs, and the page."""

    directory: Path

    table = Under("summary.csv")
    text = Under("summary.md")
    manifest = Under("summary.json")  # of table, text and sweeps; written last
    lock = Under(".summary.lock")
    page = Under("index.html")
    pages = Under("report")  # the folder of the page
    page_manifest = Under("report.json")  # of page and pages; written last
    page_lock = Under(".report.lock")
    old_scratch = Under(".report.new")  # left behind where version 0.1.0 was killed

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Prefixes of the files that DeepColor writes here, apart from runs and hidden files."""
        return self.page.name, self.pages.name, f"{self.text.stem}.", "sweep"

    @property
    def has_pages(self) -> bool:
        """Whether this or an earlier version of DeepColor wrote the folder `pages`."""
        return all((self.pages / name).is_file() for name in ("page.css", "wall.js"))


@dataclass(frozen=True)
class SweepFiles:
    """``results/sweeps/<sweep>.*``: the ranking of a sweep's combinations, or of a search's trials."""

    results: Path
    name: str

    @property
    def directory(self) -> Path:
        """The folder of all sweeps."""
        return self.results / SWEEPS

    @property
    def text(self) -> Path:
        """The table to read."""
        return self.directory / f"{self.name}.md"

    @property
    def table(self) -> Path:
        """The same numbers, as CSV."""
        return self.directory / f"{self.name}.csv"

    @property
    def costs(self) -> Path:
        """What each cost; its times differ between equal runs, so it has no digest."""
        return self.directory / f"{self.name}.costs.csv"

    @property
    def figure(self) -> Path:
        """The effect of each setting; an SVG is beside it."""
        return self.directory / f"{self.name}.png"

    @property
    def manifest(self) -> Path:
        """Their digests; written last."""
        return self.directory / f"{self.name}.json"

    @property
    def lock(self) -> Path:
        """Held while they are written."""
        return self.directory / f".{self.name}.lock"

    @property
    def trials(self) -> Path:
        """The trials of a search, as Optuna keeps them in an SQLite file."""
        return self.directory / f"{self.name}.db"


class Paths(DatasetFiles):
    """The paths of a configuration: the files of its dataset, and the folders below `root`."""

    def __init__(self, config: "Config") -> None:
        super().__init__(Path(config.data) / config.dataset)
        root = Path(config.root)
        self.models = root / "models"
        self.results = root / "results"  # see `SummaryFiles`
        self.logs = root / "logs"

    @property
    def outputs(self) -> list[Path]:
        """The store of images, and the folders of runs."""
        return [self.images.path, self.models, self.results, self.logs]

    def model(self, run: str) -> Path:
        """Return ``models/<run>/``, see `RunFiles`."""
        return self.models / run

    def log(self, stage: str, name: str = "") -> str:
        """Return the path of the output of a stage in the workflow, for a dataset or run."""
        return str(self.logs / name / f"{stage}.log")

    def benchmark(self, stage: str, name: str = "") -> str:
        """Return the path of the time and memory that Snakemake measured for the stage."""
        return str(Path(self.log(stage, name)).with_suffix(".tsv"))
