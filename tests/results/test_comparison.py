"""Two runs on the same images: paired numbers, what is refused, and what the command prints."""

import re

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from pipeline.core.errors import InputError
from pipeline.evaluation import per_image
from pipeline.evaluation.intervals import interval
from pipeline.results.comparison import COLUMNS, compare_runs
from pipeline.results.record import headline
from stages.__main__ import main

ONE, OTHER = "base_lr1e-3_l2-1e-1_bs50_s1", "base_lr1e-3_l2-1e-1_bs50_s1_noembed"


def measures(n=60, seed=0, better=0.0):
    """Made-up measures of n images: their hardness is the image's, `better` the run's."""
    hard = np.random.default_rng(9).uniform(100, 400, n)
    own = np.random.default_rng(seed).normal(0, 2, n)
    return {
        "mse": hard + own - better,
        "accuracy": 0.6 - hard / 2000 - own / 1000 + better / 100,
        "rgb_mse": 2 * hard + own,
        "psnr": 10 * np.log10(255**2 / (2 * hard + own)),
        "chroma": 20 + own / 10,
        "chroma_true": 40 + hard / 100,
    }


def put(results, run, found=None, *, n=60, groups=None, images="f1", split="s1", answer="model", seed=0):
    """Write what `compare_runs` reads of a run: two thirds are test images, in groups of `groups`."""
    table = [
        {"id": f"{i}", "group": f"{i % groups if groups else i:03d}", "partition": "train" if i % 3 == 0 else "test"}
        for i in range(n)
    ]
    folder = results / run
    folder.mkdir(parents=True)
    per_image.write(folder / "per_image.csv", run, "sample", table, {answer: found or measures(n)})
    record = {
        "run": run,
        "fingerprints": {"images": images, "split": split, "embeddings": run},
        "seeds": {"evaluation": seed},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(record))
    return folder


def by_metric(found):
    return {row["metric"]: row for row in found[0]}


def test_numbers_are_paired(tmp_path):
    one, two = measures(seed=1, better=3.0), measures(seed=2)
    found = compare_runs(put(tmp_path, ONE, one), put(tmp_path, OTHER, two))
    assert found[1] == "" and all(tuple(row) == COLUMNS for row in found[0])
    rows = by_metric(found)
    assert list(rows) == ["mse", "rmse", "accuracy", "psnr", "psnr_pooled", "chroma_ratio"]
    test = np.arange(60) % 3 != 0
    a, b = ({name: values[test] for name, values in each.items()} for each in (one, two))
    row = rows["rmse"]
    assert row["one"] == pytest.approx(np.sqrt(a["mse"].mean()), rel=1e-12)
    assert row["other"] == pytest.approx(np.sqrt(b["mse"].mean()), rel=1e-12)
    assert row["difference"] == pytest.approx(row["one"] - row["other"], rel=1e-9)
    chosen = [range(40), *(np.delete(range(40), place) for place in range(40))]
    gaps = [np.sqrt(a["mse"][c].mean()) - np.sqrt(b["mse"][c].mean()) for c in chosen]
    assert (row["low"], row["high"]) == pytest.approx(interval(gaps)[1:], rel=1e-9)
    assert row["verdict"] == rows["accuracy"]["verdict"] == "better"
    # Apart, the runs' intervals overlap: the images differ by far more than the runs.
    _, low, high = interval([np.sqrt(a["mse"][c].mean()) for c in chosen])
    assert row["high"] - row["low"] < 0.2 * (high - low)
    assert rows["chroma_ratio"]["verdict"] == ""


def test_the_other_way_round_everything_is_the_other_way_round(tmp_path):
    one, other = put(tmp_path, ONE, measures(seed=1, better=3.0)), put(tmp_path, OTHER, measures(seed=2))
    there, back = by_metric(compare_runs(one, other)), by_metric(compare_runs(other, one))
    opposite = {"better": "worse", "worse": "better", "no clear difference": "no clear difference", "": ""}
    for metric, row in there.items():
        assert (row["one"], row["other"]) == (back[metric]["other"], back[metric]["one"])
        expected = -back[metric]["difference"], -back[metric]["high"], -back[metric]["low"]
        assert (row["difference"], row["low"], row["high"]) == pytest.approx(expected, rel=1e-9)
        assert row["verdict"] == opposite[back[metric]["verdict"]]


def test_a_run_against_itself_differs_by_nothing(tmp_path):
    folder = put(tmp_path, ONE)
    for row in compare_runs(folder, folder)[0]:
        assert (row["difference"], row["low"], row["high"]) == (0.0, 0.0, 0.0)
        assert row["verdict"] in ("no clear difference", "")


def test_few_groups_have_no_interval_and_the_reason_is_given(tmp_path):
    folders = [put(tmp_path, run, measures(seed=s, better=s), groups=7) for s, run in enumerate((ONE, OTHER))]
    rows, reason = compare_runs(*folders)
    assert reason == "7 groups, fewer than 10"
    assert {(row["low"], row["high"], row["verdict"]) for row in rows} <= {
        (None, None, "no interval"), (None, None, "")
    }  # fmt: skip


def test_a_partition_can_be_named_and_a_missing_one_is_refused(tmp_path):
    folders = [put(tmp_path, run, measures(seed=s)) for s, run in enumerate((ONE, OTHER))]
    row = by_metric(compare_runs(*folders, partition="train"))["mse"]
    assert row["one"] == pytest.approx(measures(seed=0)["mse"][::3].mean(), rel=1e-12)
    with pytest.raises(InputError, match=r"\bvalidation\b"):
        compare_runs(*folders, partition="validation")


@pytest.mark.parametrize("other", [{"images": "f2"}, {"split": "s2"}, {"images": None}])
def test_other_images_or_another_split_are_refused(tmp_path, other):
    one = put(tmp_path, ONE, **({"images": None} if other == {"images": None} else {}))
    with pytest.raises(InputError, match=r"\bimages\b.*\bsplits?\b"):
        compare_runs(one, put(tmp_path, OTHER, **other))


@pytest.mark.parametrize("other", [{"n": 57}, {"answer": "gray"}])
def test_per_image_files_that_do_not_fit_are_refused(tmp_path, other):
    other_measures = measures(other.get("n", 60))
    with pytest.raises(InputError, match=r"per_image\.csv\b.*\bevaluate\b"):
        compare_runs(put(tmp_path, ONE), put(tmp_path, OTHER, other_measures, **other))


def test_a_diverged_run_has_no_numbers_and_no_verdict(tmp_path):
    diverged = {name: np.full(60, np.nan) for name in measures()}
    rows = by_metric(compare_runs(put(tmp_path, ONE), put(tmp_path, OTHER, diverged)))
    assert np.isnan(rows["rmse"]["other"]) and np.isnan(rows["rmse"]["difference"])
    assert (rows["rmse"]["low"], rows["rmse"]["verdict"]) == (None, "no interval")
    assert rows["accuracy"]["verdict"] == "no interval"


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        return CliRunner().invoke(main, ["compare", *map(str, arguments)], prog_name="python -m stages")

    return call


def test_the_command_prints_every_number_and_cuts_nothing_off(tmp_path, call):
    folders = [put(tmp_path / "results", run, measures(seed=s, better=3.0 - 3 * s)) for s, run in
               enumerate((ONE, OTHER))]  # fmt: skip
    result = call(f"results/{ONE}", f"results/{OTHER}/")
    assert (result.exit_code, result.stderr) == (0, "")
    title, heading, *lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert title.strip() == f"{ONE} against {OTHER}, test images"
    columns = [cell.strip() for cell in re.split(r"\s{2,}", heading.strip())]
    assert columns == ["metric", ONE, OTHER, "difference", "95 % interval", f"{ONE} is"]
    rows, _ = compare_runs(*folders)
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        cells = re.split(r"\s{2,}", line.strip())
        numbers = [f"{row['one']:.4f}", f"{row['other']:.4f}", f"{row['difference']:+.4f}"]
        interval = f"{row['low']:+.4g} to {row['high']:+.4g}"
        assert cells == [row["metric"], *numbers, interval, *filter(None, [row["verdict"]])]
    assert "…" not in result.stdout and "better" in result.stdout


def test_the_command_names_runs_by_their_records_though_the_folders_were_swapped(tmp_path, call):
    for seed, run in enumerate((ONE, OTHER)):
        put(tmp_path, run, measures(seed=seed))
    (tmp_path / ONE).rename(tmp_path / "third")
    (tmp_path / OTHER).rename(tmp_path / ONE)
    (tmp_path / "third").rename(tmp_path / OTHER)
    assert call(ONE, OTHER).stdout.splitlines()[0].strip() == f"{OTHER} against {ONE}, test images"
    assert headline(tmp_path / ONE).splitlines()[0] == f"{OTHER}, test images:"
    same = call(ONE, f"../{tmp_path.name}/{ONE}").stdout.splitlines()[0].strip()
    assert same == f"{ONE} against ../{tmp_path.name}/{ONE}, test images"


def test_the_command_says_what_differs_besides_the_names(tmp_path, call):
    for run, epochs in ((ONE, 3), (OTHER, 1)):
        path = put(tmp_path, run) / "run.yaml"
        record = yaml.safe_load(path.read_text()) | {"configuration": {"training": {"epochs": epochs}}}
        path.write_text(yaml.safe_dump(record))
    told = "Besides what their names say, they differ in: epochs: 3, 1."
    assert call(ONE, OTHER).stdout.splitlines()[-1] == told
    assert "Besides" not in call(ONE, ONE).stdout


def test_the_command_says_why_there_are_no_intervals(tmp_path, call):
    for seed, run in enumerate((ONE, OTHER)):
        put(tmp_path, run, measures(seed=seed), groups=4)
    result = call(ONE, OTHER, "--partition", "train")
    assert result.exit_code == 0 and "train images" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("No intervals: 4 groups, fewer than 10. ")
    assert "better" not in result.stdout and "worse" not in result.stdout


@pytest.mark.parametrize(("arguments", "expected"), [
    ((ONE, "none"), "none: expected the results of a run, but there is no run.yaml; name a folder"),
    ((ONE, "elsewhere"), "compare runs of one dataset and one split"),
    ((ONE, "damaged"), "damaged/run.yaml: expected a YAML file"),
    ((ONE, "without"), "without/per_image.csv does not exist"),
])  # fmt: skip
def test_bad_input_ends_in_one_line_and_status_2(tmp_path, call, arguments, expected):
    put(tmp_path, ONE)
    put(tmp_path, "elsewhere", images="f2")
    (put(tmp_path, "damaged") / "run.yaml").write_text("a: [")
    (put(tmp_path, "without") / "per_image.csv").unlink()
    result = call(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and expected in lines[0]


@pytest.mark.parametrize("arguments", [(), (ONE,), (ONE, OTHER, "--partition", "all")])
def test_a_wrong_call_ends_in_status_2(call, arguments):
    assert call(*arguments).exit_code == 2
