"""Documents, comments and settings name only files and tests that exist."""

import re

import pytest
from tiny import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
NAMED = re.compile(r"(?P<file>[\w./]*\btest_[\w*]+\.py)(?:::(?P<test>test_\w+…?))?|`(?P<same_file>test_\w+…?)`")


def names_of_missing_tests(text):
    modules = []
    for named in NAMED.finditer(text):
        if name := named["file"]:
            modules = list(ROOT.glob(name if "/" in name else f"tests/*/{name}"))
            if not modules:
                yield name
        if test := named["test"] or named["same_file"]:
            definition = "^def " + test.replace("…", r"\w*") + r"\("
            if not any(re.search(definition, module.read_text(), re.MULTILINE) for module in modules):
                yield named[0]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_and_file_that_a_document_names_exists(document):
    text = document.read_text()
    assert list(names_of_missing_tests(text)) == []
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_every_test_that_code_or_a_setting_names_exists():
    code = [path for folder in ("benchmarks", "pipeline", "stages", "tests") for path in ROOT.glob(f"{folder}/**/*.py")]
    for path in [*code, ROOT / "Makefile", ROOT / "pyproject.toml"]:
        assert list(names_of_missing_tests(path.read_text())) == [], path


def test_a_missing_test_is_found():
    here, absent, part = "test_documents.py", "test_absent" + ".py", "test_a_missing"
    text = f"`{here}::{part}…`, `test_a_missing_test_is_found`, `{here}::{part}`, `{absent}`"
    assert list(names_of_missing_tests(text)) == [f"{here}::{part}", absent]
