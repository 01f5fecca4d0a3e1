"""Stage: say what works on this machine."""

import sys
from pathlib import Path

import click

from stages.command import Stage


@click.command("doctor", cls=Stage)
def command() -> None:
    """Say what works on this machine.

    Looks at the network that comes with DeepColor, optional packages, GPU, browser, memory and disk, and writes
    nothing. The exit status is 0 if photographs can be coloured, otherwise 1.
    """
    from pipeline.inspection import doctor

    colours = False
    for check in doctor.checks(Path()):
        mark = {True: "yes", False: "no", None: ""}[check.works]
        click.echo(f"{check.name:<20}{mark:<5}{check.details}")
        colours |= check.name == doctor.COLOURS and bool(check.works)
    sys.exit(0 if colours else 1)
