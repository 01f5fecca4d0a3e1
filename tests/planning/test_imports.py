"""The imports of planning, which must start fast because every call of the workflow runs it."""

import pkgutil

import pytest
from tiny import python

from pipeline import config, planning

MODULES = sorted(
    f"{package.__name__}.{module.name}"
    for package in (config, planning)
    for module in pkgutil.iter_modules(package.__path__)
)


@pytest.mark.parametrize("module", MODULES)
def test_planning_and_configuration_never_import_keras(module):
    done = python("-c", f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})")
    assert done.returncode == 0, done.stderr
    taken = set(done.stdout.split())
    assert "pipeline" in taken and not taken & {"keras", "tensorflow", "jax", "matplotlib"}
