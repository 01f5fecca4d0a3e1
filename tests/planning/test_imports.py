"""The imports of planning, which must start fast because every call of the workflow runs it."""

import pkgutil

from tiny import python

from pipeline import config, planning

MODULES = sorted(
    f"{package.__name__}.{module.name}"
    for package in (config, planning)
    for module in pkgutil.iter_modules(package.__path__)
)


def test_planning_and_configuration_never_import_keras():
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(*sys.modules)"
    done = python("-c", code, *MODULES)
    assert done.returncode == 0, done.stderr
    taken = set(done.stdout.split())
    assert taken.issuperset(MODULES) and not taken & {"keras", "tensorflow", "jax", "matplotlib"}
