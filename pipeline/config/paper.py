"""The runs that the DeepColor paper reports, with its accuracies.

The paper's "accuracy" is the share of pixels where argmax(a, b) of the prediction agrees with the truth's
(see `pipeline.evaluation.metrics.accuracy`). None: the paper gives no number.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class PaperRun:
    """What the paper reports about a run: the numbers of its figures, and accuracies in 0..1."""

    figures: tuple[int, ...]
    validation: float | None
    test: float | None
    remark: str = ""


RUNS: dict[str, PaperRun] = {
    "arch1_lr1e-2": PaperRun((12,), 0.567035, 0.5496931, "the text gives a learning rate of 0.001, the caption 0.01"),
    "arch2_lr1e-2": PaperRun((13,), 0.5714356, 0.5394033),
    "base_lr1e-2_bs50": PaperRun((14,), None, None, "the paper reports that nothing was learned"),
    "base_lr1e-3": PaperRun((15, 23), 0.5881328, 0.55679),
    "base_lr1e-5": PaperRun((16,), 0.52240014, 0.5577577, "the paper states neither l2 nor batch size"),
    "base_lr1e-1": PaperRun((17, 24), 0.49233896, 0.47044206, "the paper's loss was not a number"),
    "base_lr1e-3_l2-1e-1": PaperRun((18,), 0.57672495, 0.54632795),
    "base_lr1e-2": PaperRun((19, 26), 0.584938, 0.55964506),
    "base_lr1e-4": PaperRun((20, 22), 0.57347536, 0.568752, "the best test accuracy of the paper"),
    "base_lr1e-4_l2-1e-1": PaperRun((21,), None, None, "the paper shows pictures only"),
    "base_lr1e-2_l2-1e-1": PaperRun((25,), None, None, "the paper shows pictures only"),
}
