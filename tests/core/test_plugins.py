"""Users' modules are imported by name, or named in an error."""

import sys

import pytest

from pipeline.core import plugins
from pipeline.core.errors import InputError


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module that can be imported during the test."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)

    return write


def test_modules_are_imported_once(module, monkeypatch):
    counting = "import sys\nsys.modules['builtins'].__dict__.setdefault('_counted', []).append(__name__)\n"
    for name in ("deepcolor_one", "deepcolor_two"):
        module(name, counting)
    monkeypatch.setattr("builtins._counted", [], raising=False)
    monkeypatch.setenv(plugins.VARIABLE, " deepcolor_one,deepcolor_two ,,deepcolor_one")
    plugins.load()
    plugins.load()
    import builtins

    assert builtins._counted == ["deepcolor_one", "deepcolor_two"]


def test_without_the_variable_there_are_none(monkeypatch):
    monkeypatch.delenv(plugins.VARIABLE, raising=False)
    plugins.load()


@pytest.mark.parametrize("text", [None, "import nothing_of_that_name", "1 / 0", "this is no Python"])
def test_a_module_that_cannot_be_imported_is_named_in_one_line(module, monkeypatch, text):
    if text:
        module("deepcolor_bad", text)
    monkeypatch.setenv(plugins.VARIABLE, "deepcolor_bad")
    with pytest.raises(InputError, match=r"DEEPCOLOR_PLUGINS.*deepcolor_bad") as caught:
        plugins.load()
    assert "\n" not in str(caught.value)


def test_a_name_that_is_taken_is_told_as_it_is(module, monkeypatch):
    module(
        "deepcolor_twice",
        "from pipeline.networks import heads\nheads.register(heads.Head('regression', 2, 'relu', 'mse'))",
    )
    monkeypatch.setenv(plugins.VARIABLE, "deepcolor_twice")
    with pytest.raises(InputError, match="head regression"):
        plugins.load()
