"""The evaluation of one run."""

import tempfile
from pathlib import Path

from benchmarks.measure import THREADS, Line, in_turn, median, quotients
from pipeline import backend

backend.start(THREADS)

from benchmarks import datasets  # noqa: E402
from pipeline import architectures, config  # noqa: E402
from pipeline import evaluation as stage  # noqa: E402
from pipeline.references import evaluate_references  # noqa: E402
from pipeline.runs import Run  # noqa: E402
from pipeline.training import train  # noqa: E402

RUN = "base_lr1e-4_noembed"  # with an embedding, it is also scored with wrong ones: three answers
ROUNDS = 2
# Few images to train on, which is not measured here.
SPLIT = config.Split(train=0.1, validation=0.1, test=0.8)


def evaluate() -> list[Line]:
    run, settings = Run.parse(RUN), config.Evaluation()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images, embeddings, split = datasets.sample(folder, 125, SPLIT)
        references, directory = folder / "references.csv", folder / RUN
        evaluate_references(images, split, references, batch_size=settings.batch_size, seed=0, threads=THREADS)
        train(run, images, embeddings, split, directory, config.Training(epochs=1))
        model = architectures.build(run.architecture, embedding=False)
        lightness = images.read("L", 0, images.rows())

        def ours() -> None:
            stage.evaluate(
                run, images, embeddings, split, references, directory, settings, resolved={}, threads=THREADS
            )

        def forward() -> None:
            for start in range(0, len(lightness), settings.batch_size):
                stage.predict(model, lightness[start : start + settings.batch_size], None)

        ours()
        forward()
        took, computing = in_turn(ours, forward, rounds=ROUNDS)
    n = len(lightness)
    return [
        Line(
            f"evaluation of base, its own answer to {n} images, reference answers cached",
            f"{1000 * median(took) / n:.0f} ms per image",
            f"the network's forward pass: {1000 * median(computing) / n:.0f} ms",
            quotients(took, computing),
            2.0,
            at_least=False,
            note="With what does not grow with the number of images: figures, intervals, the saved network.",
        )
    ]
