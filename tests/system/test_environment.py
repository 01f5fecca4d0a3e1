"""conda, pip and the lock file define the same environment, and none names a package index."""

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from tiny import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())


def locked():
    lines = [line.split("#")[0].strip() for line in LOCK.splitlines()]
    return [Requirement(line) for line in lines if line]


def direct():
    extras = PROJECT["optional-dependencies"]
    (own,) = [each for each in map(Requirement, extras["dev"]) if each.name == PROJECT["name"]]
    wanted = [text for extra in sorted(own.extras) for text in extras[extra]] + PROJECT["dependencies"] + extras["dev"]
    return [Requirement(text) for text in dict.fromkeys(wanted) if Requirement(text).name != own.name]


def test_the_lock_pins_every_package_exactly_once():
    pins = locked()
    assert len(pins) > 50
    for pin in pins:
        assert re.fullmatch(r"==[0-9][^*,]*", str(pin.specifier)), pin
    assert len({canonicalize_name(pin.name) for pin in pins}) == len(pins)


@pytest.mark.parametrize("wanted", direct(), ids=lambda wanted: wanted.name)
def test_every_direct_dependency_is_locked_at_a_version_that_fits(wanted):
    found = [pin for pin in locked() if canonicalize_name(pin.name) == canonicalize_name(wanted.name)]
    assert len(found) == 1, f"{wanted.name} is not in requirements.lock"
    assert found[0].marker is None
    version = str(found[0].specifier).removeprefix("==")
    assert wanted.specifier.contains(version, prereleases=True), f"{wanted}: locked at {version}"


def test_conda_installs_the_lock_file_and_nothing_else():
    names = [dependency for dependency in ENVIRONMENT["dependencies"] if isinstance(dependency, str)]
    sections = [dependency for dependency in ENVIRONMENT["dependencies"] if not isinstance(dependency, str)]
    assert sorted(re.split(r"[ =<>]", name)[0] for name in names) == ["pip", "python"]
    assert [list(section) for section in sections] == [["pip"]]
    pinned = [line for line in LOCK.splitlines() if line.strip() and not line.startswith("#")]
    assert sections[0]["pip"] in (["-r requirements.lock"], pinned)


def test_conda_and_pip_take_the_same_pythons():
    (python,) = [name for name in ENVIRONMENT["dependencies"] if str(name).startswith("python")]
    conda = SpecifierSet(python.removeprefix("python").strip())
    pip = SpecifierSet(PROJECT["requires-python"])
    assert set(conda) == set(pip)
    assert [minor for minor in range(20) if Version(f"3.{minor}.5") in pip] == [11, 12, 13]


@pytest.mark.parametrize("name", ["requirements.lock", "environment.yml", "pyproject.toml"])
def test_no_file_names_an_index(name):
    text = "\n".join(line.split("#")[0] for line in (ROOT / name).read_text().splitlines())
    assert not re.search(r"://| @ |(^|\s)-[if]\b", text, re.MULTILINE)
    assert not re.search(r"\b(index[-_]url|extra-index|find-links|trusted-host|channel_alias|index)\b", text)


def test_conda_uses_one_channel_and_no_address():
    assert ENVIRONMENT["channels"] in (["conda-forge"], ["conda-forge", "nodefaults"])
