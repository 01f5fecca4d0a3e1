"""Stage: score the baselines, which need no trained network."""

from stages import common


@common.stage("baselines", "images", "splits", "baselines", "replace")
def command(work: common.Work) -> None:
    """Score the baselines, such as the mean colour."""
    from pipeline.embedding import recipe
    from pipeline.evaluation.baselines import score_baselines

    config = work.config
    if recognising := recipe.recognising(config.embedding, config.evaluation.recognition):
        work.start_backend("float32")
    target = work.path("baselines")
    with common.hold(target):
        if common.made_meanwhile(work, "baselines"):
            return
        score_baselines(
            work.images,
            work.path("splits"),
            target,
            config.evaluation,
            threads=config.threads,
            recognising=recognising,
            replace=config.replace,
            progress=common.progress(),
        )
