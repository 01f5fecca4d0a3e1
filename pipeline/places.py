"""Where everything lies: the one home of paths."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.config import Config
from pipeline.stores import EMBEDDINGS, IMAGES, Store


@dataclass(frozen=True)
class Places:
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
