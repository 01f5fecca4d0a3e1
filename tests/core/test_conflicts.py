from pathlib import Path

import pytest

from pipeline.core.conflicts import differing, kept, refuse_other
from pipeline.core.errors import InputError


def test_differences_are_named_by_their_whole_key():
    assert differing({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": None}) == ["a.c: 2, now 3"]
    assert differing({"a": {"b": 1}}, {"a": 5}) == ["a: {'b': 1}, now 5"]


def test_digests_are_shown_by_their_first_characters():
    old, new = ({"a": f"{letter}1234567{'0' * 56}", "b": f"{letter}1234567{'0' * 24}"} for letter in "cd")
    assert differing(old, new) == ["a: 'c1234567…', now 'd1234567…'", "b: 'c1234567…', now 'd1234567…'"]
    assert differing({"a": "0" * 63}, {}) == [f"a: '{'0' * 63}', now None"]


def test_where_a_source_is_makes_no_difference():
    old, new = ({"images": {"source": {"kind": "kaggle", "path": path, "table": path}}} for path in ("a", "b"))
    assert differing(old, new) == [] and kept(old, new) == old
    other = {"images": {"source": {"kind": "folder", "path": "a", "table": "a"}}}
    assert differing(old, other) == ["images.source.kind: 'kaggle', now 'folder'"] and kept(old, other) == other
    assert differing({"path": "a"}, {"path": "b"}) == ["path: 'a', now 'b'"]


def test_the_refusal_names_path_keys_and_ways_to_continue():
    refuse_other(Path("x"), {"seed": 0}, {"seed": 0})
    refuse_other(Path("x"), {}, {"seed": 0})  # nothing is known of what made it
    with pytest.raises(InputError, match=r"^x .*\(seed: 0, now 1; epochs: 3, now 2\).*--replace.*root="):
        refuse_other(Path("x"), {"seed": 0}, {"seed": 1}, more=["epochs: 3, now 2"])
    with pytest.raises(InputError, match="epochs: 3, now 2"):
        refuse_other(Path("x"), {}, {}, more=["epochs: 3, now 2"])
