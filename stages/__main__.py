"""`python -m stages`: all stages by name."""

from importlib import import_module
from typing import Any

import click

from stages.command import refuse_usage

NAMES = (
    "new",
    "ingest",
    "embed",
    "split",
    "baselines",
    "train",
    "evaluate",
    "summary",
    "report",
    "colorize",
    "export",
    "serve",
    "compare",
    "show",
    "inspect",
    "verify",
)


class Stages(click.Group):
    """Imports a stage only when it is called."""

    def list_commands(self, context: click.Context) -> list[str]:
        """The stages in the order of the data flow."""
        return list(NAMES)

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:
        """Read the options before the stage's name."""
        try:
            return super().make_context(*arguments, **more)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            refuse_usage(error)

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The stage's command, and what follows its name."""
        try:
            return super().resolve_command(context, arguments)
        except click.UsageError as error:
            refuse_usage(error)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The stage's command."""
        if name not in NAMES:
            return None
        command: click.Command = import_module(f"stages.{name}").command
        return command


@click.command(cls=Stages, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The stages of the DeepColor pipeline, in the order of the data flow.

    An interrupted stage continues where it stopped; finished work is not repeated.
    """


if __name__ == "__main__":
    main(prog_name="python -m stages")
