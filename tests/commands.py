"""Calls of stages in this process, in a folder with a tiny dataset and a configuration."""

from contextlib import contextmanager

import pytest
import yaml
from click.testing import CliRunner
from tiny import make_dataset

from stages.__main__ import main


@contextmanager
def prepared(folder, config):
    """Write the dataset and mine.yaml, and stay in the folder until the end of the block."""
    make_dataset(folder / "data" / "tiny")
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("DEEPCOLOR_CONFIG", raising=False)
        yield folder


def colorize(*arguments):
    from stages.colorize import command

    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def invoke(*arguments, config=True):
    given = [*map(str, arguments), *(("--config", "mine.yaml") if config else ())]
    return CliRunner().invoke(main, given, prog_name="python -m stages")
