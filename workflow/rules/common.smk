# Configuration, paths and checks that the rules share.

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir).parent))

from pipeline.config import loading, runs, searches, sweeps
from pipeline.config.paper import RUNS as PAPER_RUNS
from pipeline.config.paths import (
    BaselineFiles,
    Paths,
    RunFiles,
    SummaryFiles,
    SweepFiles,
    manifest_of,
)
from pipeline.core import files, lost, plugins
from pipeline.core.errors import InputError
from pipeline.planning import check, due, estimate
from pipeline.planning.settings import (
    MAPS_VARIABLE,
    maps_of_run,
    maps_of_search,
    maps_to_store,
    settings_of_search,
)
from snakemake.persistence import FileBackupMixin

# Outputs are marked `update`: Snakemake would delete others before their job, and after one that fails, although another
# workflow may have made them meanwhile. Stages replace their outputs themselves. Snakemake copies such an output before
# its job and restores it if the job fails; nobody needs the copy, and it does harm: if it remains after a kill, the next
# call fails, and for a root such as ../../elsewhere it lies outside .snakemake.
FileBackupMixin.backup_output = lambda self, path: None
FileBackupMixin.restore_output = lambda self, path: True
FileBackupMixin.cleanup_backup = lambda self, path: None


def or_stop(function, *arguments):
    """Call a function of the library, and stop the workflow with one line on bad input."""
    try:
        return function(*arguments)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


or_stop(plugins.load)
or_stop(
    loading.refuse_duplicate_keys,
    map(Path, workflow.configfiles),
    workflow.config_settings.config_args or (),
)
CONFIG = or_stop(
    loading.parse_config,
    or_stop(loading.with_experiment_files, config, DEFAULTS.with_name("experiments")),
)
PATHS = Paths(CONFIG)
BASELINES = BaselineFiles(PATHS.baselines)
INGESTED = [PATHS.images.manifest_path, PATHS.index, PATHS.report]
RESULTS = str(PATHS.results)
SUMMARY = SummaryFiles(PATHS.results)
MODELS = str(PATHS.model("{run}"))

# Stages read the configuration from the environment.
os.environ.update(check.stage_environment(CONFIG))

or_stop(check.check_data, CONFIG)


SAID = set()


def say(line):
    """Print a line, unless it was printed before or this is the process of a single job."""
    if workflow.is_main_process and line not in SAID:
        print(line, file=sys.stderr)
    SAID.add(line)


def make_again(stage, output, run="", maps=()):
    """Force the job of an output that was made with other settings or data; say what that replaces."""
    if found := or_stop(due.reasons, CONFIG, stage, run, maps):
        workflow.dag.forcefiles.add(str(output))
        say(f"{stage}: {output} is made again ({'; '.join(found)})")
    if lost_work := or_stop(due.replaced_by, CONFIG, stage, run, maps):
        say(f"{stage}: replace=true: {lost_work}")


def renewed(stage, target, output):
    """Return an input function: the note, if any, that the stage's output `target` was damaged or lost.

    Snakemake decides by times and missing files only; whether settings or data changed is for the records to say.
    `output` is an output of the rule.
    """

    def notes(wildcards):
        run = getattr(wildcards, "run", "")
        if stage == "train":
            or_stop(check.check_run, CONFIG, run)
        maps = maps_of_runs(wildcards) if stage == "features" else ()
        make_again(stage, str(output).replace("{run}", run), run, maps)
        return lost.notes(Path(str(target).replace("{run}", run)))

    return notes


# The feature maps that the requested runs read, collected while Snakemake asks for their inputs.
MAPS = set()


def features_of(wildcards):
    """Return the manifest of the feature maps if the run's network reads any."""
    maps = or_stop(maps_of_run, CONFIG, wildcards.run)
    MAPS.update(maps)
    if not maps:
        return []
    make_again("features", PATHS.features.manifest_path, maps=maps)
    return [PATHS.features.manifest_path]


def maps_of_runs(wildcards):
    """Return the feature maps that the requested runs read and those that the store already has; all without any run.

    A cluster's job is another process, which knows only its rule. It gets the maps in the environment.
    """
    if MAPS:
        os.environ[MAPS_VARIABLE] = " ".join(sorted(MAPS))
    asked = os.environ.get(MAPS_VARIABLE, "").split()
    return list(or_stop(maps_to_store, CONFIG, asked))


def summary_marker():
    """Return a file that represents the summary: the output of `summary` and an ancient input of `evaluate`.

    Requesting any run thus also renews a lost summary. The file always exists and is initially older than any note, so
    it causes no evaluation by itself.
    """
    path = Path(".snakemake", "summary", *PATHS.results.absolute().parts[1:], "renewed")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (1, 1))
    return str(path)


def summary_of(wildcards):
    """Return the summary's marker, which is ancient unless the run has to be evaluated in any case.

    Where `summary` has to run, Snakemake does not ask whether a job has to that depends on it by ancient files alone.
    """
    is_due = or_stop(due.reasons, CONFIG, "evaluate", wildcards.run)
    is_due += lost.notes(PATHS.results / wildcards.run)
    return summary_marker() if is_due else ancient(summary_marker())


def announce(workflow):
    """Print the estimated cost before the first job; stop if the disk is too small."""
    jobs = [
        (job.rule.name, job.wildcards_dict.get("run"))
        for job in workflow.dag.needrun_jobs()
    ]
    for job in workflow.dag.needrun_jobs():
        if search := CONFIG.searches.get(job.wildcards_dict.get("search")):
            jobs += search.trials * [
                (stage, search.extends) for stage in ("train", "evaluate")
            ]
    for line in or_stop(estimate.plan, CONFIG, jobs):
        print(line, file=sys.stderr)


# The sweeps that are requested.
SWEEPS = set()


def runs_of_sweep(wildcards):
    """Return the results of a sweep's runs.

    Its table is made again if it is damaged or of other runs. If a run has no results, nobody else would ask for them
    once there is a table.
    """
    or_stop(sweeps.check, CONFIG, wildcards.sweep)
    runs, made = sweeps.runs_of(CONFIG, wildcards.sweep), SweepFiles(
        PATHS.results, wildcards.sweep
    )
    manifest = files.read_if_whole(made.manifest)
    results = [PATHS.results / run for run in runs]
    if (
        manifest.get("runs") != runs
        or any(files.damaged(made.directory, manifest["files"]))
        or not all(result.exists() for result in results)
    ):
        workflow.dag.forcefiles.add(str(made.text))
    return results


def features_of_search(wildcards):
    """Return the manifest of the feature maps if the networks of any trial read some."""
    or_stop(searches.check, CONFIG, wildcards.search)
    if not (maps := or_stop(maps_of_search, CONFIG, wildcards.search)):
        return []
    MAPS.update(maps)
    make_again("features", PATHS.features.manifest_path, maps=maps)
    return [PATHS.features.manifest_path]


def made_by_search(wildcards):
    """Return nothing; a search goes on if its table is damaged, or made with other settings or fewer trials."""
    settings = or_stop(settings_of_search, CONFIG, wildcards.search)
    settings["trials"] = CONFIG.searches[wildcards.search].trials
    made = SweepFiles(PATHS.results, wildcards.search)
    manifest = files.read_if_whole(made.manifest)
    if manifest.get("search") != files.fingerprint(settings) or any(
        files.damaged(made.directory, manifest["files"])
    ):
        workflow.dag.forcefiles.add(str(made.manifest))
    return []


def asked_for(target):
    """Return a target with the canonical name of its run, if the name only gives defaults too, as in a grid."""
    if target == "family":
        asked_for("sweep/family")
        return target
    path = Path(target)
    if path.parent.name == "sweep" and len(path.parts) == 2:
        or_stop(sweeps.check, CONFIG, path.name)
        # A run that fails is a row of the table, so the others go on.
        workflow.execution_settings.keep_going = True
        SWEEPS.add(path.name)
        return str(SweepFiles(PATHS.results, path.name).text)
    if path.parent.name == "search" and len(path.parts) == 2:
        or_stop(searches.check, CONFIG, path.name)
        return str(SweepFiles(PATHS.results, path.name).manifest)
    name = runs.without_defaults(CONFIG, path.name)
    if path.parent != PATHS.results or name == path.name:
        return target
    say(f"{target} is {path.with_name(name)}")
    return str(path.with_name(name))


def prepare_dag(*arguments, _prepare=workflow._prepare_dag, **options):
    """Rename the targets before Snakemake looks for their rules: it knows them only once the rules are read."""
    targets = workflow.dag_settings.targets
    workflow.dag_settings.targets = {*map(asked_for, targets)}
    return _prepare(*arguments, **options)


workflow._prepare_dag = prepare_dag


# Matches any name, so that a misspelt one gets a helpful message instead of "no rule to produce".
wildcard_constraints:
    run=r"(?!\.|summary\.|index\.|report$|report\.|sweeps$)[^/]+",
    sweep="[^/]+",
    search="[^/]+",
