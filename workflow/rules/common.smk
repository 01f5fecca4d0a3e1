# Configuration, paths and checks that the rules share.

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir).parent))

from pipeline.config.loading import parse_config
from pipeline.config.paper import RUNS as PAPER_RUNS
from pipeline.config.paths import (
    BaselineFiles,
    Paths,
    RunFiles,
    SummaryFiles,
    manifest_of,
)
from pipeline.core import lost, plugins
from pipeline.core.errors import InputError
from pipeline.core.files import canonical_json
from pipeline.planning import check, estimate
from pipeline.planning.settings import stage_settings
from snakemake.persistence import FileBackupMixin

# Snakemake copies an output marked `update` before its job, and back if that fails. `evaluate`, the only such rule, needs
# no copy, because the stage replaces results in one step. And the copy would do harm: after a kill the next call fails
# because it exists, and for a root such as ../../elsewhere it is not in .snakemake.
FileBackupMixin.backup_output = lambda self, path: None
FileBackupMixin.restore_output = lambda self, path: True
FileBackupMixin.cleanup_backup = lambda self, path: None


def or_stop(function, *arguments):
    """Call a function of the library; bad input stops the workflow with its one line."""
    try:
        return function(*arguments)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


or_stop(plugins.load)
CONFIG = or_stop(parse_config, config)
PATHS = Paths(CONFIG)
BASELINES = BaselineFiles(PATHS.baselines)
RESULTS = str(PATHS.results)
SUMMARY = SummaryFiles(PATHS.results)
MODELS = str(PATHS.model("{run}"))

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
    """The input of a run's rule by which what it made, a path by run, is made again where it was damaged or lost."""
    return lambda wildcards: lost.notes(Path(folder.format(run=wildcards.run)))


def summary_marker():
    """A file that stands for the summary: made by `summary`, an ancient input of `evaluate`.

    So any run that is asked for renews a lost summary too. The file always exists, and is older than any note at first:
    then Snakemake evaluates nothing because of it.
    """
    path = Path(".snakemake", "summary", *PATHS.results.absolute().parts[1:], "renewed")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (1, 1))
    return str(path)


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
