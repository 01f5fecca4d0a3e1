"""The test photographs of config/evidence.yaml, and how rows of a table score on them: networks and baselines."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.config import loading
from pipeline.config.paths import Paths, RunFiles
from pipeline.config.runs import find
from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.dataset import splits, statistics
from pipeline.dataset.fingerprints import Outputs, fingerprints, outputs_of
from pipeline.embedding import recipe
from pipeline.evaluation import metrics, recognition, scores
from pipeline.evaluation.frechet import PREFIX
from pipeline.evaluation.measures import TOP1, Columns
from pipeline.evaluation.predictors import GRAY, MEAN, Ab, Batch
from pipeline.evaluation.scores import MODEL
from pipeline.evaluation.scoring import Dataset, Scores
from pipeline.images import lab
from pipeline.networks import builder, inputs, notation
from pipeline.networks.inputs import ImageBatch, predict
from pipeline.planning.settings import maps_of_run

CONFIGURATION = [Path("config/config.yaml"), Path("config/evidence.yaml")]
RANDOM_DATA = "data/random"  # the same photographs, embedded by a network with random weights
TRUTH = "truth"
BATCH = 16


def or_stop(main: Callable[[], None]) -> None:
    """Call `main`, and end with one line and exit code 2 on bad input."""
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


@dataclass(frozen=True)
class Row:
    """A row of a table: a run of the configuration, or one of `GRAY`, `MEAN` and `TRUTH`."""

    label: str
    run: str
    temperature: float | None = None

    @property
    def key(self) -> str:
        """The name of the file with its scores."""
        return self.run + (f"-{self.temperature:g}" if self.temperature else "")

    @property
    def trained(self) -> bool:
        """Whether it is a network."""
        return self.run not in (GRAY, MEAN, TRUTH)


class Evidence:
    """The test photographs, and the networks of the configuration."""

    def __init__(self) -> None:
        self.config = loading.load_config(CONFIGURATION)
        self.paths = Paths(self.config)
        images = self.paths.images
        self.split = splits.read(self.paths.splits, images.manifest()["fingerprint"])
        self.rows = np.array([place for place, row in enumerate(self.split) if row["partition"] == "test"])
        counts = statistics.no_colours()
        statistics.add_colours(counts, images.read_rows("ab", self.rows))
        self.data = Dataset(images, self.split, {"test": metrics.rarity(metrics.bin_counts(counts))})
        self.measuring = recipe.recognising(self.config.embedding, self.config.evaluation.recognition)
        self.recognised, self.distance = (f"{kind}{self.measuring.network}" for kind in (TOP1, PREFIX))

    @cached_property
    def _network(self) -> recognition.Network:
        return recognition.load_network(self.measuring)

    @cached_property
    def _true(self) -> recognition.TrueImages:
        gathered = recognition.Recognition(self._network, self.data.partitions, self.measuring.network)
        for batch in self._batches({}):
            gathered.measure(batch.rows, batch.truth, {})
        return gathered.true

    def _batches(self, outputs: Outputs) -> Iterator[Batch]:
        data = replace(self.data, outputs=outputs)
        for start in range(0, len(self.rows), BATCH):
            yield data.batch(self.rows[start : start + BATCH])

    @property
    def groups(self) -> list[str]:
        """The group of each test photograph."""
        return [self.split[row]["group"] for row in self.rows]

    def training(self, row: Row) -> dict[str, Any]:
        """Return the record of a run's training."""
        return files.read_json(RunFiles(self.paths.model(row.run)).summary)

    @property
    def _mean_colour(self) -> Sequence[float]:
        return self.training(Row("", "shipped"))["mean_ab"]

    def has(self, row: Row) -> bool:
        """Whether a row can be scored: it is no network, or a trained one."""
        return not row.trained or RunFiles(self.paths.model(row.run)).summary.exists()

    def _outputs(self, row: Row) -> Outputs:
        """Return the stored outputs of the embedding network that a run was trained on; refuse a run of other data."""
        if not row.trained:
            return {}
        directory, trained, run = self.paths.model(row.run), self.training(row), find(self.config, row.run)
        random = trained["settings"]["embeddings"]["weights"] == "random"
        paths = Paths(self.config.model_copy(update={"data": RANDOM_DATA})) if random else self.paths
        names = notation.input_names(notation.of_run(run, self.config.architectures), embedding=run.embedding)
        features = paths.features if maps_of_run(self.config, row.run) else None
        outputs = outputs_of(inputs.stored(names), self.paths.images, paths.embeddings, features)
        if trained["settings"]["fingerprints"] != fingerprints(
            self.paths.images, paths.embeddings, self.paths.splits, outputs
        ):
            raise InputError(f"{directory} was trained on other data; run `make evidence` again")
        files.refuse_damaged(directory, trained["files"])
        return outputs

    def _predictor(self, row: Row, outputs: Outputs) -> Callable[[Batch], Ab]:
        if row.run == TRUTH:
            return lambda batch: batch.truth.ab
        if not row.trained:
            colour = (lab.NEUTRAL, lab.NEUTRAL) if row.run == GRAY else self._mean_colour
            return lambda batch: np.broadcast_to(np.array(colour, np.float64), batch.truth.ab.shape)
        model = builder.trained(
            find(self.config, row.run),
            RunFiles(self.paths.model(row.run)).weights("best"),
            self.config.architectures,
            {name: store.array(name).shape[1:] for name, store in outputs.items()},
            row.temperature,
        )
        return lambda batch: predict(model, ImageBatch(batch.truth.lightness, batch.embedded))

    def predicted(self, row: Row, rows: npt.NDArray[np.intp]) -> Ab:
        """Predict ab (k, H, W, 2) in 8-bit units for k photographs, by their rows in the store."""
        outputs = self._outputs(row)
        return self._predictor(row, outputs)(replace(self.data, outputs=outputs).batch(rows))

    def measured(self, row: Row) -> Columns:
        """Return a row's measures of the test photographs, (n,) by measure, and its Fréchet distance, (1,).

        They are kept in a file whose name says what they were made from.
        """
        baseline = self._mean_colour if row.run == MEAN else row.run
        identity = files.fingerprint(
            {
                "answer": self.training(row)["files"] if row.trained else baseline,
                "temperature": row.temperature,
                "images": self.paths.images.manifest()["fingerprint"],
                "split": splits.fingerprint(self.paths.splits),
                "recognition": recipe.recognition(self.measuring),
            }
        )
        kept = Path(self.config.root) / "scores" / f"{row.key}-{identity[:16]}.npz"
        if not kept.exists():
            print(f"scoring {row.key}", file=sys.stderr)
            outputs = self._outputs(row)
            found = self._measure(self._predictor(row, outputs), outputs)
            with files.written_whole(kept) as temporary:
                np.savez(temporary, **found)
        with np.load(kept) as file:
            return dict(file)

    def _measure(self, predictor: Callable[[Batch], Ab], outputs: Outputs) -> Columns:
        found = Scores(len(self.split))
        recognised = recognition.Recognition(self._network, self.data.partitions, self.measuring.network, self._true)
        with ThreadPoolExecutor(self.config.threads) as pool:
            for batch in self._batches(outputs):
                answers = {MODEL: predictor(batch)}
                found.measure(pool, batch, answers)
                found.put(batch.rows, recognised.measure(batch.rows, batch.truth, answers))
        columns = {name: values[self.rows] for name, values in found.answers[MODEL].items()}
        return {**columns, self.distance: np.array([recognised.distances()["test"][MODEL]])}

    def scored(self, rows: Sequence[Row]) -> dict[Row, Mapping[str, metrics.Values]]:
        """Return each row's metrics over the test photographs, and without each group of them."""
        samples = scores.samples(["test"] * len(self.rows), self.groups)
        over: dict[Row, Mapping[str, metrics.Values]] = {}
        for row in rows:
            columns = dict(self.measured(row))
            distance = columns.pop(self.distance)
            over[row] = {**scores.summed({MODEL: columns}, samples)["test"][MODEL], self.distance: distance}
        return over
