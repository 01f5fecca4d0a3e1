"""Run names: one spelling per run."""

import re
import string
from decimal import Decimal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.config.paper import RUNS
from pipeline.config.runs import Run, spell, without_defaults
from pipeline.config.schema import Config, Experiment
from pipeline.core.errors import InputError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("base_lr1e-4", Run("base", "1e-4")),
        ("base_lr1e-3_l2-1e-1", Run("base", "1e-3", l2="1e-1")),
        ("base_lr1e-2_bs50", Run("base", "1e-2", batch_size=50)),
        ("base_lr1e-4_s1", Run("base", "1e-4", seed=1)),
        ("my-net2_lr2.5e-4_l2-0_bs1_s4294967295", Run("my-net2", "2.5e-4", "0", 1, 2**32 - 1)),
        ("arch3_lr1e0", Run("arch3", "1e0")),
        ("base_lr1e-4_noembed", Run("base", "1e-4", embedding=False)),
        ("base_lr1e-4_l2-0_bs1_s2_noembed", Run("base", "1e-4", "0", 1, 2, False)),
    ],
)
def test_a_name_is_read_and_written_the_same(name, expected):
    assert Run.parse(name) == expected
    assert expected.name == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("base_lr1e-4_s0", "base_lr1e-4"),
        ("base_lr1e-4_l2-1e-2_bs5_s0_noembed", "base_lr1e-4_noembed"),
        ("base_lr1e-4_bs50_s0", "base_lr1e-4_bs50"),
        ("own_s7", "own"),
        ("own_s0", "own_s0"),  # its own seed is 7
        ("base_lr1e-4_s1", "base_lr1e-4_s1"),
        ("base_lr0.0001", "base_lr0.0001"),  # a misspelling, which is refused
        ("other_s0", "other_s0"),
    ],
)
def test_defaults_in_a_name_are_left_out(name, expected):
    own = Experiment(architecture="base", learning_rate=1e-3, seed=7)
    assert without_defaults(Config(experiments={"own": own}), name) == expected


def test_defaults_are_those_of_the_paper():
    run = Run.parse("base_lr1e-4")
    assert (float(run.l2), run.batch_size, run.seed, run.embedding) == (0.01, 5, 0, True)


def test_the_papers_eleven_runs_are_canonical():
    assert len(RUNS) == 11
    assert [Run.parse(name).name for name in RUNS] == list(RUNS)
    assert {Run.parse(name).architecture for name in RUNS} == {"base", "arch1", "arch2"}


@pytest.mark.parametrize(
    ("number", "expected"),
    [("0.0001", "1e-4"), (0.0001, "1e-4"), ("1", "1e0"), ("10", "1e1"), ("0.00025", "2.5e-4"), ("12.50", "1.25e1"),
     ("0", "0"), ("0.000", "0"), ("0e5", "0"), ("100e-3", "1e-1"), ("5E-3", "5e-3")],
)  # fmt: skip
def test_a_number_has_one_spelling(number, expected):
    assert spell(number) == expected
    assert float(spell(number)) == float(number)


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_a_number_that_is_not_finite_has_none(number):
    with pytest.raises(ValueError, match="not a finite number"):
        spell(number)


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("base_lr0.0001", "base_lr1e-4"),
        ("base_lr1e-04", "base_lr1e-4"),
        ("base_lr1E-4", "base_lr1e-4"),
        ("base_lr1e+0", "base_lr1e0"),
        ("base_lr1", "base_lr1e0"),
        ("base_lr1.0e-4", "base_lr1e-4"),
        ("base_lr10e-5", "base_lr1e-4"),
        ("base_lr.5", "base_lr5e-1"),
        ("base_lr1e-4_bs5", "base_lr1e-4"),
        ("base_lr1e-4_s0", "base_lr1e-4"),
        ("base_lr1e-4_l2-0.01", "base_lr1e-4"),
        ("base_lr1e-4_l2-1e-2_bs5_s0", "base_lr1e-4"),
        ("base_lr1e-4_l2-0.0", "base_lr1e-4_l2-0"),
        ("base_lr1e-4_bs050_s01", "base_lr1e-4_bs50_s1"),
        ("base_lr1e-4_s1_bs50", "base_lr1e-4_bs50_s1"),
        ("base_bs50_l2-0_lr1e-4", "base_lr1e-4_l2-0_bs50"),
        ("base_lr1e-4_noembed_s1", "base_lr1e-4_s1_noembed"),
        ("base_noembed_lr0.0001_bs5", "base_lr1e-4_noembed"),
    ],
)
def test_another_spelling_is_refused_with_the_right_one(name, right):
    with pytest.raises(InputError, match=re.escape(f"{name!r}: the canonical run name is '{right}'")) as caught:
        Run.parse(name)
    assert Run.parse(right).name == right
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["", "base", "base_lr", "base_lr-1e-4", "base_lr1e-4_", "_lr1e-4",
     "3arch_lr1e-4", "base_lrnan", "base_lrinf", "base_lr1e-4_bs", "base_lr1e-4_bs-5", "base_lr1e-4_bs5.0",
     "base_lr1e-4\n", " base_lr1e-4", "base_lr1e-4/", "../base_lr1e-4", "base_lr1e-4_l2-0_l2-0", "base_lr١e-4",
     "base_lr1_000e-4", "my_net_lr1e-4", "base_lr1e-4_noembed_noembed", "base_lr1e-4_noembedding", "base_noembed",
     "base_lr1e-4_embed", "base_lr1e-4_NOEMBED", "base_lr1e-4noembed"],
)  # fmt: skip
def test_what_is_no_name_is_refused_with_the_form(name):
    with pytest.raises(InputError, match=r"<architecture>_lr<learning rate>.*base_lr1e-4"):
        Run.parse(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("base_lr0", "learning rate above 0"), ("base_lr1e-999", "learning rate above 0"), ("base_lr1e6", "below 1e6"),
     ("base_lr1e-4_l2-1e7", "below 1e6"), ("base_lr1e-4_bs0", "batch size of 1 to 1000000, received 0"),
     ("base_lr1e-4_bs1000001", "batch size of 1 to"), ("base_lr1e-4_s4294967296", r"seed below 2\*\*32"),
     ("base_lr1e9999999999999999999", "expected numbers"), ("base_lr1e-4_s" + "9" * 5000, "200 characters")],
)  # fmt: skip
def test_values_out_of_range_are_refused(name, expected):
    with pytest.raises(InputError, match=expected):
        Run.parse(name)


NUMBERS = st.decimals(min_value="1e-12", max_value="9e5", places=12).map(spell)
ARCHITECTURES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,8}", fullmatch=True)


@given(
    st.builds(
        Run,
        ARCHITECTURES,
        NUMBERS,
        NUMBERS | st.just("0"),
        st.integers(1, 1_000_000),
        st.integers(0, 2**32 - 1),
        st.booleans(),
    )
)
def test_every_experiment_survives_its_name(run):
    assert Run.parse(run.name) == run


PIECES = st.sampled_from(
    ["base", "_lr", "_l2-", "_bs", "_s", "1e-4", "0.01", "e", ".", "-", "0", "5", "1", "_", "E+9", "_noembed"]
)


@settings(max_examples=300)
@given(st.text() | st.lists(PIECES, max_size=9).map("".join) | st.text(string.printable))
def test_any_text_is_the_canonical_name_of_a_run_or_is_refused(text):
    try:
        run = Run.parse(text)
    except InputError:
        return
    assert run.name == text


@given(NUMBERS, st.sampled_from(["{:f}", "{:E}", "{:.20f}"]))
def test_a_refused_spelling_leads_to_the_same_number(number, form):
    other = form.format(Decimal(number))
    assume(other != number)
    assert spell(other) == number
