"""The evaluation of one run."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.measure import THREADS, Line, in_turn, median, quotients
from pipeline.networks import backend

backend.start(THREADS)

from benchmarks import datasets  # noqa: E402
from pipeline.config import schema  # noqa: E402
from pipeline.config.runs import Run  # noqa: E402
from pipeline.evaluation.baselines import score_baselines  # noqa: E402
from pipeline.networks import builder  # noqa: E402
from pipeline.networks.inputs import ImageBatch, predict  # noqa: E402
from pipeline.results import evaluate as evaluation  # noqa: E402
from pipeline.training.train import train  # noqa: E402

RUN = "base_lr1e-4_noembed"  # a run with an embedding is also scored with wrong embeddings: three answers
FEW, MANY, ROUNDS = 16, 48, 2
# Few images for training, which is not measured here.
SPLIT = schema.Split(train=0.1, validation=0.1, test=0.8)


def evaluate() -> list[Line]:
    run, settings = Run.parse(RUN), schema.Evaluation()
    model = builder.build(run.architecture, embedding=False)
    with tempfile.TemporaryDirectory() as name:
        few, many = (_evaluation(run, settings, Path(name) / str(n), n) for n in (FEW, MANY))
        lightness = np.zeros((MANY - FEW, 224, 224), np.uint8)

        def forward() -> None:
            for start in range(0, len(lightness), settings.batch_size):
                predict(model, ImageBatch(lightness[start : start + settings.batch_size]))

        few()
        forward()
        for_few, for_many, computing = in_turn(few, many, forward, rounds=ROUNDS)
    more = [b - a for a, b in zip(for_few, for_many, strict=True)]
    n = MANY - FEW
    return [
        Line(
            f"evaluation of {RUN}, one answer, baselines cached, per additional image",
            f"{1000 * median(more) / n:.0f} ms",
            f"the network's forward pass: {1000 * median(computing) / n:.0f} ms",
            quotients(more, computing),
            2.0,
            at_least=False,
            note=f"Between {FEW} and {MANY} images. With {FEW} images, evaluation takes {median(for_few):.0f} s; its "
            "figures, intervals and saved network take the same time for any number of images.",
        )
    ]


def _evaluation(run: Run, settings: schema.Evaluation, folder: Path, n: int) -> Callable[[], object]:
    """Train a run on some of `n` images and return its evaluation as a function."""
    images, embeddings, split = datasets.synthetic(folder, n, SPLIT)
    baselines, directory = folder / "baselines.csv", folder / RUN
    score_baselines(images, split, baselines, settings, threads=THREADS)
    train(run, images, embeddings, split, directory, schema.Training(epochs=1))
    return partial(
        evaluation.evaluate,
        run,
        images,
        embeddings,
        split,
        baselines,
        directory,
        folder / "results" / RUN,
        settings,
        resolved={"evaluation": settings.model_dump()},
        threads=THREADS,
    )
