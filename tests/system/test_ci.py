"""CI requires a browser for the tests of the web pages wherever one can be installed."""

import subprocess

import chromium
import pytest
from tiny import ROOT

BROWSER = ("chromium", "chromedriver")


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
    scripts = dict.fromkeys(programs, "exit 1") | {"id": f"echo {user}", "make": 'echo "$1:$DEEPCOLOR_REQUIRE_BROWSER"'}
    if apt:
        scripts["apt-get"] = apt
    for name, script in scripts.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{script}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "dirname").symlink_to("/usr/bin/dirname")
    done = subprocess.run(["/bin/bash", ROOT / ".ci/run"], env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"test:{required}\ndemo:{required}\n")
    assert done.stderr.count("\n") == (not required)


@pytest.mark.parametrize(
    ("required", "outcome"), [("1", pytest.fail.Exception), ("", pytest.skip.Exception), (None, pytest.skip.Exception)]
)
def test_a_missing_browser_fails_a_test_only_if_it_is_required(monkeypatch, required, outcome):
    monkeypatch.setattr(chromium, "DRIVER", None)
    if required is None:
        monkeypatch.delenv(chromium.REQUIRED, raising=False)
    else:
        monkeypatch.setenv(chromium.REQUIRED, required)
    with pytest.raises(outcome, match="chromedriver"):
        chromium.Browser()
