"""What tests of the summary share."""

import pytest

from pipeline.figures import sweeps


@pytest.fixture
def drawn(monkeypatch):
    """What would be drawn: path, points, lines. Drawing takes a second."""
    found = []
    monkeypatch.setattr(sweeps, "sweep", lambda path, dataset, points, lines: found.append((path, points, lines)))
    return found
