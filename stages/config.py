"""Stage: print the configuration with every key."""

import click
import yaml

from stages import common


@common.stage("config", "dataset", "limit", "scheduler", "replace")
@click.argument("run", required=False)
def command(work: common.Work, run: str | None) -> None:
    """Print the configuration, with every key, as stages use it.

    With RUN, for example base_lr1e-4, also print the settings in its name, and apply its own training settings.
    """
    from pipeline.config.loading import every_value

    config = work.config
    if run:
        from pipeline.config.runs import find, layered
        from pipeline.evaluation import untrained

        found = find(config, run)
        config = layered(config, found)
        named = {key: value for key, value in found.as_experiment().items() if key != "name"}
        if predictor := untrained.of_run(found):
            named = {"predictor": predictor.label, **named}
        click.echo(f"# {run}: {', '.join(f'{key} {value}' for key, value in named.items())}")
    click.echo(yaml.safe_dump(every_value(config), sort_keys=False, allow_unicode=True), nl=False)
