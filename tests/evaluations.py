"""Training and evaluation of tiny runs, and what the saved model predicts."""

import numpy as np
from tiny import DOT

from pipeline.config.runs import Run
from pipeline.config.schema import Config, Evaluation, Training
from pipeline.core import files
from pipeline.dataset import splits
from pipeline.evaluation import predictors

RUN = "dot_lr1e-2_l2-1e-1_bs4"
OWN = ("model", "embedding-shuffled", "embedding-mean")


def result_of(directory):
    """``results/<run>/`` of ``models/<run>/``."""
    return directory.parents[1] / "results" / directory.name


def evaluate(dataset, directory, name=RUN, *, replace=False, threads=2, **options):
    from pipeline.results.evaluate import evaluate

    asked = Evaluation(**{"batch_size": 3, "pictures": 2, **options})
    evaluate(
        Run.parse(name), *dataset.sources, dataset.baselines, directory, result_of(directory), asked,
        resolved=Config(evaluation=asked).model_dump(), replace=replace, threads=threads, more_architectures=DOT,
    )  # fmt: skip
    return result_of(directory)


def train(dataset, directory, name=RUN, epochs=2):
    from pipeline.training.train import train

    train(Run.parse(name), *dataset.sources, directory, Training(epochs=epochs), more_architectures=DOT)


def plant(directory, model, which="best"):
    """Put other weights into a trained run."""
    name = f"{which}.weights.h5"
    model.save_weights(directory / name)
    told = files.read_json(directory / "training.json")
    told["files"][name] = files.digest_file(directory / name)
    files.write_json(directory / "training.json", told)


def split_of(dataset):
    return splits.read(dataset.splits, dataset.images.manifest()["fingerprint"])


def given_embeddings(dataset):
    """The embeddings of all images, by answer; those of the ten shuffles one after the other."""
    every = np.asarray(dataset.embeddings.array("embedding")[:])
    groups = [row["group"] for row in split_of(dataset)]
    shuffled = [every[predictors.partners(groups, (0, number) if number else 0)] for number in range(10)]
    mean = every[dataset.rows("train")].mean(axis=0, dtype=np.float64).astype(np.float32)
    return {
        "model": [every],
        "embedding-shuffled": shuffled,
        "embedding-mean": [np.tile(mean, (len(every), 1))],
    }


def saved_answer(dataset, directory, answer, partition):
    """What the whole saved model answers; on the test images, with the embeddings of the ten shuffles in turn."""
    from pipeline.networks import saving

    model = saving.load(result_of(directory) / "model.keras")
    every = given_embeddings(dataset)[answer][: None if partition == "test" else 1]
    lightness = dataset.arrays(partition)[0][..., None]
    rows = dataset.rows(partition)
    return model, np.concatenate([model.predict_on_batch([lightness, embedding[rows]]) for embedding in every])
