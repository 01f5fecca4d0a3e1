# Configuration, paths and checks that the rules share.

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir).parent))

from pipeline.config.loading import parse_config
from pipeline.config.paper import RUNS as PAPER_RUNS
from pipeline.config.paths import Paths
from pipeline.core import lost
from pipeline.core.errors import InputError
from pipeline.core.files import canonical_json
from pipeline.planning import check, estimate
from pipeline.planning.settings import stage_settings
from pipeline.results.record import EVALUATED, FIGURES


def or_stop(function, *arguments):
    """Call a function of the library; bad input stops the workflow with its one line."""
    try:
        return function(*arguments)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


CONFIG = or_stop(parse_config, config)
PATHS = Paths(CONFIG)
DATA = str(PATHS.directory)
RESULTS = str(PATHS.results)
MODELS = str(PATHS.model("{run}"))
LOGS = str(PATHS.logs)

# Stage commands read the configuration from there; `params` only tell Snakemake when to run a rule again.
os.environ.update(check.stage_environment(CONFIG))

or_stop(check.check_data, CONFIG)


def settings_of(stage):
    """The settings that decide a stage's output, as text that changes when they do."""
    return canonical_json(or_stop(stage_settings, CONFIG, stage))


def settings_of_run(wildcards):
    """The same for the training of one run; stops if the name is no run, or stands for another one already."""
    return canonical_json(or_stop(check.check_run, CONFIG, wildcards.run))


def lost_of(folder):
    """The input of a run's rule that says that what the rule makes, a path by run, was lost."""
    return lambda wildcards: lost.notes(Path(folder.format(run=wildcards.run)))


def announce(workflow):
    """Before the first job: what the work will take. Stops if the disk is too small."""
    jobs = [
        (job.rule.name, job.wildcards_dict.get("run"))
        for job in workflow.dag.needrun_jobs()
    ]
    for line in or_stop(estimate.plan, CONFIG, jobs):
        print(line, file=sys.stderr)


# Any name is taken here, so that a misspelt one gets a helpful message instead of "no rule to produce".
wildcard_constraints:
    run=r"(?!\.|summary\.|index\.|report$|report\.)[^/]+",
