"""Stage: the scores of the answers that need no network."""

from pathlib import Path

import click

from stages import common


@click.command("references", cls=common.Stage)
@common.config_options
@common.path_option("--images", "The store of images.")
@common.path_option("--splits", "The split.")
@common.path_option("--references", "The CSV file to write; more stands beside it.")
@common.replace_option
def command(
    configs: tuple[Path, ...],
    assignments: tuple[str, ...],
    images: Path | None,
    splits: Path | None,
    references: Path | None,
    replace: bool,
) -> None:
    """Score the answers that need no network: gray, the mean colour, another image's and so on."""
    from pipeline.config.paths import Paths
    from pipeline.embedding import recipe
    from pipeline.evaluation.baselines import score_baselines

    config = common.load(configs, assignments, replace=replace)
    places = Paths(config)
    if recipe.recognition(config.embedding):
        common.start_backend(config, "float32")
    target = references or places.references
    with common.hold(target):
        score_baselines(
            common.image_store(images, places.images),
            splits or places.splits,
            target,
            batch_size=config.evaluation.batch_size,
            seed=config.evaluation.seed,
            threads=config.threads,
            embedding=config.embedding,
            replace=config.replace,
            progress=common.progress(),
        )


if __name__ == "__main__":
    command(prog_name="python -m stages.references")
