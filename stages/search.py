"""Stage: try settings of an experiment one after the other, as Optuna chooses them."""

from typing import TYPE_CHECKING

import click

from stages import common, evaluate
from stages.train import train

if TYPE_CHECKING:
    from pipeline.training.search import Trial


@common.stage("search", "replace")
@click.argument("name")
def command(work: common.Work, name: str) -> None:
    """Search for the best settings of an experiment.

    NAME is one of `searches` in the configuration. Each trial is trained into models/NAME.trial-NUMBER and evaluated;
    results/sweeps/NAME.md ranks them. The same command goes on after an interruption. Run ingest, embed, split and
    baselines first, and features if the networks read feature maps.
    """
    from pipeline.config import searches
    from pipeline.config.paths import SweepFiles
    from pipeline.core import files
    from pipeline.planning.due import fingerprints
    from pipeline.planning.settings import maps_of_search, settings_of_search

    config = work.config
    searches.check(config, name)
    settings = settings_of_search(config, name)
    data = {"fingerprints": fingerprints(work.paths, maps_of_search(config, name))}
    where, search = SweepFiles(work.paths.results, name), config.searches[name]
    from pipeline.results import ranking
    from pipeline.training.search import Search

    where.directory.mkdir(parents=True, exist_ok=True)
    with common.hold(where.trials):
        trials = Search(where.trials, name, search, {**settings, **data}, replace=config.replace)
        for trial in trials.trials():
            _try(work, name, trial)
        found = trials.found()
        ranked = ranking.write(
            config,
            name,
            trials=[searches.combination(name, number, values) for number, values, _ in found],
            known={searches.trial_name(name, number): problem for number, _, problem in found if problem},
            facts={"search": files.fingerprint({**settings, "trials": search.trials})},
        )
    click.echo(f"search: {len(found)} trials; see {where.text}", err=True)
    if ranked[0].verdict == ranking.BEST:
        click.echo(f"{ranked[0].combination.name}: {ranking.METRIC} {ranked[0].over_images[0]:.4f}")


def _try(work: common.Work, name: str, trial: "Trial") -> None:
    """Train and evaluate a trial, unless it is pruned, diverges or has settings that do not go together."""
    from pipeline.config import searches
    from pipeline.config.paths import RunFiles
    from pipeline.core import files
    from pipeline.core.errors import InputError
    from pipeline.results import ranking
    from pipeline.training.search import Pruned

    run = searches.trial_name(name, trial.number)
    settings = ", ".join(f"{key} {value}" for key, value in trial.values.items())
    click.echo(f"search: {run}: {settings}", err=True)
    own = common.Work({"run": run})
    try:
        own.config = searches.with_trial(work.config, name, trial.number, trial.values)
        _ = own.run  # an architecture and a head that do not go together
    except (InputError, ValueError) as error:
        trial.fail(" ".join(str(error).split()))
        return
    try:
        train(own, [trial.judge])
    except Pruned:
        click.echo(f"search: {run} is pruned", err=True)
        return
    status = files.read_json(RunFiles(own.model).summary)["status"]
    if status != "finished":
        trial.fail(status)
        return
    common.call(evaluate.command, own)
    trial.complete(ranking.score(own.paths.results / run))
