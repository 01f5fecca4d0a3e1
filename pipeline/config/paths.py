"""Where everything lies: the one home of paths."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.config.schema import Config
from pipeline.storage.layouts import EMBEDDINGS, IMAGES
from pipeline.storage.store import Store


@dataclass(frozen=True)
class Paths:
    """Paths under `data` (shared by experiments) and `root` (one set of experiments)."""

    config: Config

    @property
    def dataset(self) -> Path:
        """``data/<dataset>/``: stores, index, split and reference answers."""
        return Path(self.config.data) / self.config.dataset

    @property
    def images(self) -> Store:
        """The store of images."""
        return Store(self.dataset / "images.zarr", IMAGES)

    @property
    def embeddings(self) -> Store:
        """The store of embeddings."""
        return Store(self.dataset / "embeddings.zarr", EMBEDDINGS)

    @property
    def splits(self) -> Path:
        """The split."""
        return self.dataset / "splits.csv"

    @property
    def references(self) -> Path:
        """Scores of the answers that need no network."""
        return self.dataset / "references.csv"

    def model(self, run: str) -> Path:
        """``models/<run>/``: weights, history and checkpoint; its `evaluation` folder holds scores and figures."""
        return Path(self.config.root) / "models" / run

    @property
    def results(self) -> Path:
        """``results/``: a folder per run, and the summary."""
        return Path(self.config.root) / "results"


@dataclass(frozen=True)
class RunFiles:
    """Where one run's training lives: ``models/<run>/``."""

    directory: Path

    @property
    def settings(self) -> Path:
        """What the run is made of; written before training starts."""
        return self.directory / "settings.json"

    @property
    def checkpoint(self) -> Path:
        """The newest checkpoint."""
        return self.directory / "checkpoint.npz"

    @property
    def history(self) -> Path:
        """A row per epoch."""
        return self.directory / "history.csv"

    @property
    def times(self) -> Path:
        """Seconds per epoch: the only file of a run that differs between equal runs."""
        return self.directory / "times.csv"

    @property
    def summary(self) -> Path:
        """How training ended; written last."""
        return self.directory / "training.json"

    def weights(self, which: str) -> Path:
        """The "best" or the "last" weights."""
        return self.directory / f"{which}.weights.h5"
