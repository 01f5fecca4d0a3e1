"""The served page, for the tests of this folder."""

import pytest


@pytest.fixture
def site(tmp_path):
    from served import opened

    with opened(tmp_path) as site:
        yield site
