"""The registry behind embedding networks, heads, inputs and baselines."""

from dataclasses import dataclass

import pytest

from pipeline.core.errors import InputError
from pipeline.core.registry import Registry


@dataclass(frozen=True)
class Shape:
    name: str
    corners: int


@pytest.fixture
def shapes():
    shapes = Registry("shape", "drawing.shape")
    shapes.register(Shape("square", 4))
    shapes.register(Shape("kite", 4))
    return shapes


def test_entries_are_found_by_name_in_the_order_of_registration(shapes):
    assert shapes["kite"] == Shape("kite", 4)
    assert list(shapes) == ["square", "kite"]
    assert "round" not in shapes and shapes.get("round") is None


def test_a_taken_name_is_refused_and_the_same_entry_accepted_again(shapes):
    shapes.register(Shape("square", 4))
    with pytest.raises(InputError, match="shape square"):
        shapes.register(Shape("square", 5))
    assert list(shapes.values()) == [Shape("square", 4), Shape("kite", 4)]


def test_an_unknown_name_is_refused_with_the_known_ones(shapes):
    with pytest.raises(InputError, match=r"drawing\.shape: .*square, kite.*'round'.*DEEPCOLOR_PLUGINS"):
        shapes["round"]
    assert "round" not in shapes
