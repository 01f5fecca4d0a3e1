"""The page on analysing a sweep shows what its code gives, for the results that come with it."""

from tiny import ROOT

from docs.analysis import BLOCK, executed
from pipeline.config.loading import load_config
from pipeline.config.sweeps import runs_of

PAGE, FOLDER = ROOT / "docs" / "analysis.md", ROOT / "docs" / "analysis"


def test_the_page_shows_what_its_code_gives():
    page = PAGE.read_text()
    assert executed(page, FOLDER) == page
    assert len(BLOCK.findall(page)) >= 4 and page.count("```text") >= 4
    again = executed(page.replace("```text\n", "```text\nnot so\n"), FOLDER)
    assert again == page


def test_the_results_are_those_of_the_sweep_that_the_page_shows():
    import pandas as pd

    config = load_config([ROOT / "config" / "config.yaml", FOLDER / "sweep.yaml"])
    assert set(pd.read_parquet(FOLDER / "results" / "summary.parquet")["run"]) == set(runs_of(config, "rates"))
