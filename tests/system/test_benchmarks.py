"""The benchmark's handling of measurements; the times themselves are not tested."""

import ast
import json

import pytest
from tiny import ROOT, python

from benchmarks import __main__ as driver
from benchmarks import measure, performance
from benchmarks.measure import Line, Ratio

FAST = Line("a", "2 s", "b: 4 s", Ratio(2.0, 1.5, 2.5, 3), 1.7, limit="9 GFLOP/s", share=Ratio(0.8, 0.7, 0.9, 3))
SLOW = Line("c", "5 s", "d: 4 s", Ratio(1.25, 1.25, 1.25, 1), 1.03, at_least=False, note="Because.")


def test_a_target_is_met_from_above_or_from_below():
    assert FAST.met and not SLOW.met
    assert Line("c", "", "", Ratio(1.03, 1, 2, 3), 1.03, at_least=False).met
    assert not Line("c", "", "", Ratio(1.69, 1, 2, 3), 1.7).met


def test_lines_survive_json():
    for line in (FAST, SLOW):
        assert Line.from_json(json.loads(json.dumps(line.as_json()))) == line


def test_what_is_measured_takes_turns_and_is_divided_round_by_round():
    turns = []
    found = measure.in_turn(lambda: turns.append("a"), lambda: turns.append("b"), rounds=3)
    assert turns == ["a", "b"] * 3 and [len(each) for each in found] == [3, 3]
    assert measure.quotients([2, 9, 4], [1, 3, 1]) == Ratio(3, 2, 4, 3)


def test_the_tables_are_made_anew_and_the_text_around_them_stays(tmp_path, monkeypatch):
    page, results = tmp_path / "performance.md", tmp_path / "results"
    results.mkdir()
    page.write_text(f"before\n{performance.BEGIN}\nold\n{performance.END}\nafter\n")
    monkeypatch.setattr(performance, "PAGE", page)
    monkeypatch.setattr(performance, "RESULTS", results)
    row = {"date": "2026-01-02", "seconds": 90, "lines": [FAST.as_json(), SLOW.as_json()]}
    machine = {"processor": "A", "arithmetic": ["avx2"], "cores": 2}
    driver.write(results / "a.json", {"machine": machine, "rows": {"start": row}})
    performance.update()
    text = page.read_text()
    performance.update()
    assert page.read_text() == text
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert "1 of 2 targets are met" in text
    assert "| a | 2 s | b: 4 s | 2.00 (1.50 to 2.50, 3 rounds) | ≥ 1.70: met | 80 % of 9 GFLOP/s |" in text
    assert "| c [1] | 5 s | d: 4 s | 1.25 | ≤ 1.03: **missed** |  |" in text and "[1] Because." in text


def test_every_row_is_a_function():
    for place in driver.ROWS.values():
        module, function = place.split(".")
        tree = ast.parse((ROOT / "benchmarks" / f"{module}.py").read_text(encoding="utf-8"))
        assert function in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


def test_an_unknown_row_gets_one_message():
    done = python("-m", "benchmarks", "nonsense")
    assert done.returncode == 2 and "expected rows of training-step, " in done.stderr and "nonsense" in done.stderr


def test_the_page_shows_what_was_measured(monkeypatch, tmp_path):
    before = performance.PAGE.read_text(encoding="utf-8")
    monkeypatch.setattr(performance, "PAGE", tmp_path / "performance.md")
    performance.PAGE.write_text(before, encoding="utf-8")
    performance.update()
    assert performance.PAGE.read_text(encoding="utf-8") == before


def test_a_machine_has_a_name_for_a_file():
    assert all(c.isalnum() or c == "-" for c in measure.machine_name())


def test_a_measurement_that_fails_is_no_result(monkeypatch):
    monkeypatch.setitem(driver.ROWS, "broken", "measure.nothing")
    with pytest.raises(SystemExit, match="broken: the measurement failed with status 1"):
        driver.measure("broken")


def test_joined_upsamplings_save_operations(keras):
    from benchmarks.networks import computed_flops
    from pipeline.networks.cost import forward_flops

    # Of the decoder, by hand: a 3x3 convolution of what was upsampled takes 4 products at a place instead of 9.
    saved = 2 * 5 * (56**2 * 128 * 64 + 112**2 * 64 * 32)
    assert forward_flops("base", 224) - computed_flops("base") == saved
