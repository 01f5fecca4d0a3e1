"""`python -m stages`: all stages by name."""

import atexit
import gc
import signal

if __name__ == "__main__":  # outside of a stage, Ctrl-C ends without a traceback, also while the next lines import
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from importlib import import_module
from pathlib import Path

import click

from pipeline import __version__
from stages.command import refusing_usage

# In the order of the data flow. A stage that is not named here comes last.
ORDER = (
    *("new", "config", "smoke", "ingest", "embed", "features", "split", "baselines", "train", "evaluate", "summary"),
    *("sweep", "search", "report", "publish", "colorize", "export", "serve", "compare", "table", "pictures", "show"),
    *("inspect", "verify", "clean", "doctor"),
)
SHARED = {"__init__", "__main__", "arguments", "command", "common"}  # modules that are no stages


def names() -> list[str]:
    """Return the names of all stages: the modules beside this one."""
    found = {path.stem for path in Path(__file__).parent.glob("*.py")}
    return [*ORDER, *sorted(found.difference(ORDER, SHARED))]


class Stages(click.Group):
    """A group that imports a stage only when it is called."""

    make_context = refusing_usage()(click.Group.make_context)
    resolve_command = refusing_usage()(click.Group.resolve_command)

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the stages in the order of the data flow."""
        return names()

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Return the command of a stage."""
        if name not in names():
            return None
        command: click.Command = import_module(f"stages.{name}").command
        return command


@click.command(cls=Stages, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="deepcolor")
def main() -> None:
    """Colour photographs, or run a stage of the pipeline. Stages are listed in the order of the data flow.

    An interrupted stage resumes where it stopped; finished work is not repeated.
    """


def deepcolor(name: str = "deepcolor") -> None:
    """Run the command `deepcolor`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # outside of a stage, Ctrl-C ends without a traceback
    atexit.register(gc.freeze)  # or Python would look for garbage before it ends, which takes 0.1 s
    main(prog_name=name)


if __name__ == "__main__":
    deepcolor("python -m stages")
