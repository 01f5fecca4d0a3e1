"""Hints as a person writes them, and the cells of the network's picture that they cover."""

import json

import numpy as np
import pytest

from pipeline.colorize.hints import COVERED, MOST, Hint, Hints, cells, parse, refuse_outside
from pipeline.core.errors import InputError


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("120,80,#2E7d32", Hint(120, 80, "#2e7d32")),
        ("0,0,#000000,12", Hint(0, 0, "#000000", 12.0)),
        ("7,9,#ffffff,2.5", Hint(7, 9, "#ffffff", 2.5)),
    ],
)
def test_a_hint_of_the_command_line_is_read(text, hint):
    assert parse(text) == hint


WRONG = ["", "1,2", "1,2,red", "1,2,#12345", "-1,2,#123456", "1,2,#123456,", "1, 2,#123456", "1,2,#123456,1e3"]


@pytest.mark.parametrize("text", WRONG)
def test_other_text_is_refused(text):
    with pytest.raises(InputError, match="--hint: expected"):
        parse(text)


def test_a_colour_is_known_by_its_a_and_b():
    # CIE Lab of sRGB red, by Lindbloom's calculator: 53.24, 80.09, 67.20.
    np.testing.assert_allclose(Hint(0, 0, "#ff0000").ab, [80, 67], atol=0.5)
    assert (np.abs(Hint(0, 0, "#808080").ab) <= 1).all()


def written(tmp_path, content):
    path = tmp_path / "hints.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_file_has_hints_for_one_photograph_or_for_several(tmp_path):
    one = {"x": 1, "y": 2, "color": "#ABCDEF"}
    own = (Hint(1, 2, "#abcdef"),)
    alone = Hints.of(["3,4,#111111"], written(tmp_path, [one]))
    assert alone.for_photograph("a.jpg") == (*own, Hint(3, 4, "#111111"))
    several = Hints.of([], written(tmp_path, {"a.jpg": [one], "sub/b.jpg": [{**one, "radius": 3}]}))
    several.refuse_unused(["sub/a.jpg", "sub/b.jpg", "c.jpg"])
    assert several.for_photograph("sub/a.jpg") == own and several.for_photograph("c.jpg") == ()
    assert several.for_photograph("sub/b.jpg") == (Hint(1, 2, "#abcdef", 3.0),)
    assert [hint.as_json() for hint in own] == [{"x": 1, "y": 2, "color": "#abcdef"}]


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "3",
        '{"a.jpg": 3}',
        [3],
        [{"x": 1, "y": 2}],
        [{"x": 1.5, "y": 2, "color": "#123456"}],
        [{"x": True, "y": 2, "color": "#123456"}],
        [{"x": 1, "y": -2, "color": "#123456"}],
        [{"x": 1, "y": 2, "color": "green"}],
        [{"x": 1, "y": 2, "color": "#123456", "radius": -1}],
        [{"x": 1, "y": 2, "color": "#123456", "size": 1}],
    ],
)
def test_a_file_with_something_else_is_refused_by_its_name(tmp_path, content):
    path = written(tmp_path, content)
    with pytest.raises(InputError) as caught:
        Hints.of([], path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_hints_whose_photograph_is_not_clear_are_refused(tmp_path):
    with pytest.raises(InputError, match="--hint"):
        Hints.of(["1,2,#123456"], None).refuse_unused(["a.jpg", "b.jpg"])
    named = Hints.of([], written(tmp_path, {"c.jpg": []}))
    with pytest.raises(InputError, match=r"c\.jpg"):
        named.refuse_unused(["a.jpg", "b.jpg"])
    named.refuse_unused(["c.jpg", "b/c.jpg"])
    named.refuse_unused(["b/c.jpg"])
    with pytest.raises(InputError, match=r"c\.jpg"):
        named.refuse_unused(["a/c.jpg", "b/c.jpg"])
    (tmp_path / "twice.json").write_text('{"a.jpg": [], "a.jpg": [{"x": 1, "y": 2, "color": "#123456"}]}')
    with pytest.raises(InputError, match=r"a\.jpg occurs twice"):
        Hints.of([], tmp_path / "twice.json")


@pytest.mark.parametrize(("x", "y"), [(40, 0), (0, 30)])
def test_a_hint_beside_the_photograph_is_refused(x, y):
    refuse_outside([Hint(39, 29, "#123456")], 30, 40)
    with pytest.raises(InputError, match=f"{x},{y}"):
        refuse_outside([Hint(x, y, "#123456")], 30, 40)
    with pytest.raises(InputError, match=str(MOST)):
        refuse_outside([Hint(0, 0, "#123456")] * (MOST + 1), 30, 40)


def test_a_hint_covers_the_cell_of_its_pixel_and_those_within_its_radius():
    at, colours = cells([Hint(0, 0, "#ff0000"), Hint(399, 199, "#0000ff")], (200, 400), (56, 56), (56.0, 56.0))
    assert at.tolist() == [[0, 0], [55, 55]] and colours.shape == (2, 2)
    # The padding of a narrow picture is never hinted at.
    at, _ = cells([Hint(399, 199, "#0000ff")], (200, 400), (56, 56), (28.0, 56.0))
    assert at.tolist() == [[27, 55]]
    at, colours = cells([Hint(200, 100, "#ff0000", 30)], (200, 400), (56, 56), (56.0, 56.0))
    rows, columns = at[:, 0], at[:, 1]
    away = np.hypot((rows + 0.5) * 200 / 56 - 100.5, (columns + 0.5) * 400 / 56 - 200.5)
    assert 3 < len(at) <= COVERED + 1 and (away <= 30).all() and (colours == colours[0]).all()
