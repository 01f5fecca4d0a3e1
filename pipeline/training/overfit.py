"""Whether a network can learn at all: one batch, again and again, until it should know it by heart."""

import math
from collections.abc import Mapping

import numpy as np

from pipeline.config import schema
from pipeline.config.runs import Run
from pipeline.core.progress import Progress, Silent
from pipeline.dataset import statistics
from pipeline.dataset.fingerprints import outputs_of
from pipeline.networks import builder, heads, inputs, transfer
from pipeline.networks.notation import input_names, of_run
from pipeline.storage.store import Store
from pipeline.training.batches import Batches, load
from pipeline.training.optimizers import optimizer

LEARNT = 0.5  # the share of the first error that may be left
UNHINDERED = {"weight_decay": 0.0, "schedule": "constant", "warmup_epochs": 0.0}


def overfit(
    run: Run,
    images: Store,
    embeddings: Store,
    training: schema.Training,
    steps: int,
    *,
    features: Store | None = None,
    more_architectures: Mapping[str, schema.Architecture] | None = None,
    progress: Progress | None = None,
) -> tuple[float, float]:
    """Train a run's network on all images of a store at once, from the weights and with the optimiser of the run.

    L2, weight decay, schedules and mirroring, which would keep it from learning them by heart, are switched off.

    Args:
        features: the store of feature maps, if the network reads any.
        more_architectures: architectures besides the paper's.
        progress: advances with every step.

    Returns:
        The mean squared error of a and b, in 8-bit units, in the first and in the last step. If it stops being a
        finite number, that is the last step.
    """
    architecture = of_run(run, more_architectures)
    names = input_names(architecture, embedding=run.embedding)
    outputs = outputs_of(inputs.stored(names), images, embeddings, features)
    examples = load(images, outputs, {"train": np.arange(images.rows())})["train"]
    counts = statistics.no_colours()
    for image in examples.ab:
        statistics.add_colours(counts, image)
    head = heads.choose(architecture.head)
    if head.fit:
        head, _ = head.fit(counts)
    model = builder.build(
        run.architecture, l2=0.0, seed=run.seed, start_at=statistics.mean_ab_of_images(examples.ab),
        embedding=run.embedding, architectures=more_architectures, head=head,
        outputs={name: store.array(name).shape[1:] for name, store in outputs.items()},
    )  # fmt: skip
    if training.start_from:
        embedding = embeddings.manifest()["settings"] if outputs else {}
        transfer.assign(model, transfer.load(training.start_from, model, head, embedding))
        transfer.keep_statistics(model)
    unhindered = training.model_copy(update=UNHINDERED)
    builder.compile_to_train(model, head, optimizer(model, float(run.learning_rate), unhindered, steps))
    batch = Batches(examples, names, images.rows())[0]
    errors: list[float] = []
    with (progress or Silent()).track(f"overfit {run.name}, steps", steps) as advance:
        while len(errors) < steps and math.isfinite(sum(errors)):
            model.reset_metrics()
            errors.append(float(model.train_on_batch(*batch, return_dict=True)["mse"]))
            advance(1)
    return errors[0], errors[-1]


def learnt(before: float, after: float) -> bool:
    """Whether so much of the error is gone that the network must have learnt the batch; not if it is no number."""
    return after <= LEARNT * before
