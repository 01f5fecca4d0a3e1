"""Folders of photographs."""

import pytest


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "photographs"
    path.mkdir()
    return path
