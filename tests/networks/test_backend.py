"""The start of Keras: which backends it may have."""

import os

import pytest
from tiny import python

START = """
from pipeline.core.errors import InputError
from pipeline.networks import backend
try:
    backend.start(1)
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("name", "part"), [("numpy", "received numpy;"), ("nothing", "nothing"), ("openvino", "'openvino'")]
)
def test_a_backend_that_is_unknown_or_not_installed_is_refused_in_one_line(name, part):
    done = python("-c", START, env={**os.environ, "KERAS_BACKEND": name})
    assert done.returncode == 0 and done.stdout.count("\n") == 1
    assert done.stdout.startswith("KERAS_BACKEND: ") and part in done.stdout
