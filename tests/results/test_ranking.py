"""The table of a sweep ranks by validation images, over seeds, and has a row for what is not finished."""

import csv
import re
from unittest import mock

import numpy as np
import pytest
import yaml
from PIL import Image
from scipy import stats
from tiny import rows_of

from pipeline.config.loading import parse_config
from pipeline.config.sweeps import of_config
from pipeline.core import csv_files
from pipeline.core.errors import InputError
from pipeline.evaluation import per_image
from pipeline.evaluation.intervals import Jackknife, interval
from pipeline.results import costs, ranking
from pipeline.results.page import write_report
from pipeline.results.page_views import ranking_view
from pipeline.results.read import read_runs

N = 40
RNG = np.random.default_rng(0)
EASY = RNG.uniform(100, 300, N)  # squared error of each image
SETTINGS = {
    "experiments": {"plain": {"architecture": "arch3", "learning_rate": 1e-3}},
    "sweeps": {
        "rates": {
            "extends": "plain", "seeds": [0, 1],
            "grid": {"learning_rate": [1e-2, 1e-3], "training.mirror": [True, False]},
        }
    },
}  # fmt: skip
FAST, FAST_PLAIN, SLOW, SLOW_PLAIN = (
    f"rates.learning_rate-1e-{rate}.mirror-{mirror}" for rate in (2, 3) for mirror in ("true", "false")
)


@pytest.fixture
def config(tmp_path):
    return parse_config({**SETTINGS, "root": str(tmp_path)})


def put(root, run, mse, images="f1", status="finished"):
    folder = root / "results" / run
    folder.mkdir(parents=True)
    table = [
        {"id": str(i), "group": str(i), "partition": partition}
        for partition in ("validation", "test")
        for i in range(N)
    ]
    found = {"mse": np.concatenate([mse, np.full(N, 1.0)]), "ssim": np.full(2 * N, 0.5)}
    per_image.write(folder / "per_image.csv", run, "sample", table, {"model": found})
    record = {"run": run, "status": status, "epochs": 2, "fingerprints": {"images": images, "split": "s"}}
    (folder / "run.yaml").write_text(yaml.safe_dump(record))


def finished(root):
    """Two seeds of the fast one, which is best; one of the next, much like it; one of another, worse; one diverged."""
    noise = RNG.normal(0, 40, N)
    put(root, FAST, EASY)
    put(root, f"{FAST}_s1", EASY + 4)
    put(root, FAST_PLAIN, EASY + noise - noise.mean() + 2.5)
    put(root, SLOW, EASY + 60)
    put(root, SLOW_PLAIN, EASY, status="diverged in epoch 1")


def test_combinations_are_ranked_by_the_mean_over_seeds_of_the_validation_images(config, tmp_path):
    finished(tmp_path)
    ranked = ranking.rank(config, of_config(config, "rates"))
    assert [each.combination.name for each in ranked] == [FAST, FAST_PLAIN, SLOW, SLOW_PLAIN]
    assert [each.verdict for each in ranked] == ["best", ranking.UNCLEAR, "worse", "diverged"]
    seeds = [np.sqrt(mse.mean()) for mse in (EASY, EASY + 4)]
    assert ranked[0].over_images[0] == pytest.approx(np.mean(seeds))
    low, high = stats.t.interval(0.95, 1, np.mean(seeds), stats.sem(seeds))
    assert ranked[0].over_seeds[1:] == pytest.approx((low, high))
    assert ranked[1].over_seeds[1:] == (None, None)
    groups = Jackknife([str(i) for i in range(N)])
    of = [np.sqrt(groups.means({"x": mse})["x"]) for mse in (EASY, EASY + 4, EASY + 60)]
    assert ranked[2].against_best == pytest.approx(interval(of[2] - (of[0] + of[1]) / 2))


def test_what_is_not_finished_is_a_row_too(config, tmp_path):
    put(tmp_path, SLOW, EASY)
    put(tmp_path, FAST, EASY - 50, images="f2")
    log = tmp_path / "logs" / f"{SLOW}_s1" / "train.log"
    log.parent.mkdir(parents=True)
    log.touch()
    ranked = ranking.write(config, "rates")
    assert (ranked[0].combination.name, ranked[0].verdict) == (FAST, "best")
    assert [each.verdict for each in ranked[1:]] == ["not finished"] * 3
    problems = {run: problem for each in ranked for run, problem in each.problems.items()}
    assert str(log) in problems[f"{SLOW}_s1"] and problems[FAST_PLAIN] == "not begun"
    assert "other images" in problems[SLOW]
    text = (tmp_path / "results" / "sweeps" / "rates.md").read_text()
    assert f"- {SLOW}\\_s1: ".replace("g_r", "g\\_r") in text and text.count("not finished") >= 3


def test_table_csv_and_figure_are_written(config, tmp_path):
    finished(tmp_path)
    ranking.write(config, "rates")
    folder = tmp_path / "results" / "sweeps"
    assert {path.name for path in folder.iterdir() if path.name[0] != "."} == {
        f"rates.{kind}" for kind in ("md", "csv", "costs.csv", "json", "png", "svg")
    }
    with (folder / "rates.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == list("1234") and rows[0][
        "settings"
    ] == "learning_rate=1e-2; training.mirror=true"
    assert float(rows[0]["value"]) == pytest.approx(ranking.rank(config, of_config(config, "rates"))[0].over_images[0])
    assert rows[3]["value"] == rows[1]["seeds_low"] == "" and float(rows[2]["minus_best_low"]) > 0
    with Image.open(folder / "rates.png") as figure:
        assert np.ptp(np.asarray(figure.convert("L"))) > 200


def test_the_summary_does_not_take_the_folder_of_sweeps_for_a_run(config, tmp_path):
    finished(tmp_path)
    ranking.write(config, "rates")
    assert not any("sweeps" in reason for reason in read_runs(tmp_path / "results", images=False)[1])


def test_a_metric_that_is_better_if_higher_ranks_the_other_way(config, tmp_path):
    finished(tmp_path)
    assert ranking.rank(config, of_config(config, "rates"), "psnr_pooled")[0].combination.name == FAST
    assert [each.combination.name for each in ranking.rank(config, of_config(config, "rates"), "ssim")][
        -1
    ] == SLOW_PLAIN
    with pytest.raises(InputError, match="chroma_ratio"):
        ranking.write(config, "rates", "chroma_ratio")


def test_a_sweep_of_seeds_alone_is_one_row(tmp_path):
    sweeps = {"again": {"extends": "plain", "seeds": [0, 1, 2]}}
    config = parse_config({**SETTINGS, "sweeps": sweeps, "root": str(tmp_path)})
    assert [each.runs for each in of_config(config, "again")] == [("again", "again_s1", "again_s2")]
    put(tmp_path, "again", EASY)
    (only,) = ranking.write(config, "again")
    assert only.verdict == "best" and len(only.problems) == 2


def test_costs_stand_beside_the_ranking(config, tmp_path):
    finished(tmp_path)
    for seed, run in enumerate((FAST, f"{FAST}_s1")):
        models, logs = tmp_path / "models" / run, tmp_path / "logs" / run
        models.mkdir(parents=True)
        logs.mkdir(parents=True)
        (models / "times.csv").write_text(f"epoch,seconds\n1,{60 + seed}\n2,{58 + seed}\n")
        (models / "predicting_times.csv").write_text("images,seconds_per_image\n16,0.025\n")
        (logs / "train.tsv").write_text("s\th:m:s\tmax_rss\n130\t0:02:10\t1234.5\n")
    found = costs.read(config, FAST)
    assert found == costs.Cost(parameters=249_170, epochs=2, seconds=118, mebibytes=1234.5, seconds_per_image=0.025)
    assert all(np.isnan(value) for value in costs.read(config, SLOW)[1:])
    ranking.write(config, "rates")
    known = costs.written(tmp_path / "results" / "sweeps" / "rates.costs.csv")
    assert known[FAST] == found._replace(seconds=119) and known[FAST].shown() == ["249,170", "2", "2.0", "1,234", "25"]
    (tmp_path / "models" / FAST / "times.csv").unlink()  # as where the stage had nothing to train
    assert costs.read(config, FAST).shown() == ["249,170", "–", "–", "–", "25"]


@pytest.mark.parametrize(("seconds", "calls", "best"), [((9, 0.6, 0.5, 0.4), 4, 0.4), ((9, 2.5), 2, 2.5)])
def test_predictions_are_timed_without_the_first_until_it_is_enough(tmp_path, monkeypatch, seconds, calls, best):
    clock, done = [0.0], []

    def predict(batch):
        clock[0] += seconds[len(done)]
        done.append(batch)

    monkeypatch.setattr(costs.time, "perf_counter", lambda: clock[0])
    costs.measure(predict, mock.Mock(rows=np.arange(4)), tmp_path / "times.csv")
    (row,) = rows_of(tmp_path / "times.csv")
    assert len(done) == calls and row["images"] == "4"
    assert float(row["seconds_per_image"]) == pytest.approx(best / 4, abs=1e-6)


def test_listed_runs_have_no_column_of_settings_on_the_page(config, tmp_path):
    finished(tmp_path)
    ranking.write(config, "rates")
    path = tmp_path / "results" / "sweeps" / "rates.csv"
    assert ranking_view(path)["headings"][1] == "settings"
    rows = csv_files.read(path, ranking.COLUMNS)
    csv_files.write(path, ranking.COLUMNS, [{**row, "settings": f"run={row['combination']}"} for row in rows])
    view = ranking_view(path)
    assert "settings" not in view["headings"] and {len(cells) for cells in view["rows"]} == {len(view["headings"])}
    assert {view["headings"][place] for place in view["numbers"]} == {"RMSE", "minus best", *costs.HEADINGS}


def test_the_page_shows_the_ranking_and_lists_a_damaged_one(config, tmp_path):
    finished(tmp_path)
    ranking.write(config, "rates")
    results = tmp_path / "results"
    (results / "sweeps" / "broken.csv").write_text("rank,combination\n1,x\n")
    page = write_report(results, lambda dataset: tmp_path / "none").read_text()
    assert "<h2>Sweep rates</h2>" in page and "broken.csv" in page
    rows = re.findall(r'<tr><th scope="row">(rates\.[^<]*)</th>(.*?)</tr>', page)
    assert [name for name, _ in rows] == [FAST, FAST_PLAIN, SLOW, SLOW_PLAIN]
    with (results / "sweeps" / "rates.csv").open() as file:
        best, *_, last = csv.DictReader(file)
    assert f'data-value="{float(best["value"])}"' in rows[0][1] and "2 of 2" in rows[0][1]
    assert "diverged" in rows[3][1] and last["value"] == ""
