"""CI requires a browser wherever one can be installed, and small disks wherever they can be mounted."""

import os
import subprocess

import chromium
import pytest
import small_disk
from tiny import ROOT

TARGETS = ("test", "test-slow", "demo")
BROWSER = ("chromium", "chromedriver")
DISKS = {"mktemp": "echo folder", "mount": "exit 0", "umount": "exit 0", "rmdir": "exit 0"}


def ci(folder, scripts, variable):
    """Run .ci/run with these programs alone; a make that prints its target and the variable."""
    for name, script in (scripts | {"make": f'echo "$1:${variable}"'}).items():
        (folder / name).write_text(f"#!/bin/bash\n{script}\n")
        (folder / name).chmod(0o755)
    (folder / "dirname").symlink_to("/usr/bin/dirname")
    return subprocess.run(["/bin/bash", ROOT / ".ci/run"], env={"PATH": str(folder)}, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("programs", "user", "apt", "required"),
    [
        (BROWSER, 1000, None, "1"),
        (BROWSER, 0, "exit 1", "1"),
        (["chromium-browser", "chromedriver"], 0, "exit 1", "1"),
        (["chromium"], 0, "exit 0", "1"),
        ([], 0, "exit 0", "1"),
        ([], 0, "exit 1", ""),
        ([], 0, '[ "$1" = update ]', ""),
        ([], 1000, "exit 0", ""),
        (["chromium"], 0, None, ""),
    ],
)
def test_ci_demands_a_browser_where_one_can_be_installed(tmp_path, programs, user, apt, required):
    scripts = dict.fromkeys(programs, "exit 1") | {"id": f"echo {user}", **DISKS}
    if apt:
        scripts["apt-get"] = apt
    done = ci(tmp_path, scripts, "DEEPCOLOR_REQUIRE_BROWSER")
    assert (done.returncode, done.stdout) == (0, "".join(f"{each}:{required}\n" for each in TARGETS))
    assert done.stderr.count("\n") == (not required)


@pytest.mark.parametrize(
    ("disks", "required"),
    [(DISKS, "1"), (DISKS | {"mount": "exit 32"}, ""), (DISKS | {"umount": "exit 32"}, ""), ({}, "")],
)
def test_ci_demands_small_disks_where_they_can_be_mounted(tmp_path, disks, required):
    done = ci(tmp_path, dict.fromkeys(BROWSER, "exit 1") | disks, "DEEPCOLOR_REQUIRE_MOUNT")
    assert (done.returncode, done.stdout) == (0, "".join(f"{each}:{required}\n" for each in TARGETS))
    assert done.stderr.count("\n") == (not required)


END = pytest.mark.parametrize(
    ("required", "outcome"), [("1", pytest.fail.Exception), ("", pytest.skip.Exception), (None, pytest.skip.Exception)]
)


def require(monkeypatch, variable, required):
    if required is None:
        monkeypatch.delenv(variable, raising=False)
    else:
        monkeypatch.setenv(variable, required)


@END
def test_a_missing_browser_fails_a_test_only_if_it_is_required(monkeypatch, required, outcome):
    monkeypatch.setattr(chromium, "DRIVER", None)
    require(monkeypatch, chromium.REQUIRED, required)
    with pytest.raises(outcome, match="chromedriver"):
        chromium.Browser()


@END
def test_a_disk_that_cannot_be_mounted_fails_a_test_only_if_it_is_required(tmp_path, monkeypatch, required, outcome):
    (tmp_path / "mount").write_text("#!/bin/sh\necho permission denied >&2; exit 32\n")
    (tmp_path / "mount").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    require(monkeypatch, small_disk.REQUIRED, required)
    with pytest.raises(outcome, match="permission denied"):
        small_disk.Disk(tmp_path / "disk")
