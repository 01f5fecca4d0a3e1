"""A run, computed stage by stage, for tests of stages that fail in between."""

import shutil

import tiny
from image_files import put

STAGES = ("ingest", "embed", "split", "baselines", "train", "evaluate", "report")


class Run:
    """A run, computed stage by stage on demand, with copies of its files before and after each stage."""

    def __init__(self, folder):
        self.folder = folder
        archive = folder / "archive"
        tiny.write_kaggle(archive, *tiny.photographs(15), [4, 11])
        for number in range(6):
            put(folder, f"photos/{number}.png", seed=number)
        start = folder / "before ingest"
        (start / "config").mkdir(parents=True)
        (start / "config" / "config.yaml").write_text(
            f"dataset: kaggle\nimages_per_shard: 8\ndatasets: {{kaggle: {{kind: kaggle, path: '{archive}'}}, "
            f"photos: {{kind: folder, path: '{folder / 'photos'}'}}}}\n"
            "training: {epochs: 2}\nevaluation: {pictures: 2, recognition: null}\n"
            "architectures: {dot: {encoder: 4/2 4/2 4/2, fusion: '1x1:4', decoder: 4 ^ 4 ^ 2 ^}}\n"
        )

    def before(self, stage, call):
        place = STAGES.index(stage)
        return self.folder / "before ingest" if place == 0 else self.after(STAGES[place - 1], call)

    def after(self, stage, call):
        made = self.folder / f"after {stage}"
        if not made.exists():
            shutil.copytree(self.before(stage, call), self.folder / "making")
            result = call(self.folder / "making", stage)
            assert result.exit_code == 0, result.stderr
            (self.folder / "making").rename(made)
        return made
