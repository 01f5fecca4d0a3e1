"""How often the 95 % intervals of metrics contain the true value, simulated on real errors of photographs.

    python -m benchmarks.coverage results/<run>/per_image.csv [FILE ...]

The test photographs of the first file are the population, whose metrics are the true values. Samples of groups of
photographs are drawn from it with replacement, and each sample gets the intervals that `evaluate` would print. More
files add answers of other networks and baselines to the same photographs: per_image.csv of other runs,
baselines_per_image.csv, or the scores/*.npz of `make evidence`. Prints a Markdown table for docs/metrics.md: by metric
and number of groups, the lowest coverage of any answer, and of the difference of any two. Takes
about a minute on an idle core.
"""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np

from pipeline.evaluation import paired, per_image
from pipeline.evaluation.intervals import Jackknife, interval
from pipeline.evaluation.measures import METRICS
from pipeline.evaluation.predictors import GRAY, MEAN
from pipeline.evaluation.scores import MODEL
from pipeline.results.markdown import table

ANSWERS = (MODEL, GRAY, MEAN)
GROUPS = (10, 12, 20, 56, 200)
SAMPLES = 1000
# Not metrics of every pixel's error, or constant for gray.
LEFT_OUT = ("loss", "mse", "colourfulness_absolute", "ciede2000_p95", "delta_cf_images", "delta_cf_set")


def read(paths):
    """The group of each test photograph, and the measures by answer."""
    first = per_image.read(paths[0], ANSWERS)
    test = np.flatnonzero(np.array(first.partitions) == "test")
    answers = {}
    for path in paths:
        if path.suffix == ".npz":
            with np.load(path) as file:
                answers[path.stem] = {name: file[name] for name in file if file[name].shape == test.shape}
        else:
            found = per_image.read(path, ANSWERS)
            if found.ids != first.ids:
                raise SystemExit(f"{path}: expected the photographs of {paths[0]}, received others")
            for answer, measures in found.answers.items():
                answers[f"{path.parent.name} {answer}"] = {name: values[test] for name, values in measures.items()}
    return np.unique([first.groups[row] for row in test], return_inverse=True)[1], answers


def metrics_of(means, answers):
    """The metrics of each answer, from the means of the measures."""
    found = {}
    for answer, measures in answers.items():
        own = {name: means[answer, name] for name in measures}
        computed = {name: METRICS[name].of(own) for name in METRICS if name not in LEFT_OUT}
        found[answer] = {
            name: values if len(values) > METRICS[name].fewest else values[:1]
            for name, values in computed.items()
            if values is not None
        }
    return found


def coverage(groups, answers, count):
    """The share of samples of `count` groups whose interval contains the true value, by metric and answer or pair."""
    rng = np.random.default_rng(count)
    columns = {(answer, name): values for answer in answers for name, values in answers[answer].items()}
    members = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
    true = metrics_of({key: np.array([values.mean()]) for key, values in columns.items()}, answers)
    hits = {}
    for _ in range(SAMPLES):
        drawn = [members[group] for group in rng.integers(len(members), size=count)]
        rows = np.concatenate(drawn)
        jackknife = Jackknife([f"{place:03d}" for place, each in enumerate(drawn) for _ in each])
        means = jackknife.means({key: values[rows] for key, values in columns.items()})
        over = metrics_of(means, answers)
        for answer, metrics in over.items():
            for name, values in metrics.items():
                _, low, high = interval(values, *METRICS[name].range)
                if low is None or high is None:  # too few groups
                    continue
                hits.setdefault((name, answer), []).append(low <= true[answer][name][0] <= high)
        for one, other in combinations(over, 2):
            for name in over[one].keys() & over[other].keys():
                if len(over[one][name]) == 1:  # too few groups
                    continue
                _, low, high = paired.compare(over[one][name], over[other][name])
                difference = true[one][name][0] - true[other][name][0]
                if low < high or difference:  # else the two are equal
                    hits.setdefault((name, one, other), []).append(low <= difference <= high)
    return {key: float(np.mean(found)) for key, found in hits.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    groups, answers = read(parser.parse_args().files)
    found = {count: coverage(groups, answers, count) for count in GROUPS}
    names = [name for name in METRICS if any(name == key[0] for key in found[GROUPS[-1]])]
    lines = [[METRICS[name].label, *(cell(found[count], name) for count in GROUPS)] for name in names]
    every = [f"{np.mean([100 * share for share in found[count].values()]):.1f}" for count in GROUPS]
    print(f"{len(groups)} photographs in {groups.max() + 1} groups, {SAMPLES} samples, answers: {', '.join(answers)}\n")
    headings = ["metric", *(f"{count} groups" for count in GROUPS)]
    print(table(headings, [":--", *["--:"] * len(GROUPS)], [*lines, ["mean of all", *every]]))


def cell(found, name):
    """The lowest coverage of an answer, and of a difference, in percent."""
    shares = {size: [share for key, share in found.items() if key[0] == name and len(key) == size] for size in (2, 3)}
    return ", ".join(f"{100 * min(values):.1f}" for values in shares.values() if values) or "–"


if __name__ == "__main__":
    main()
