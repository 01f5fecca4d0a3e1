"""The saved network whose weights training starts from: `training.start_from`.

It is DeepColor's own, a folder with a network, or a file of the weights that Zhang et al. released.
"""

from pathlib import Path

from pipeline.config.paths import SHIPPED, ResultFiles
from pipeline.config.schema import Training
from pipeline.core import files
from pipeline.core.errors import InputError

KEY = "training.start_from"


def model_file(start_from: str) -> Path:
    """Return the file of the saved network that `training.start_from` names: "shipped", a folder, or a .pth file."""
    if is_released(start_from):
        return Path(start_from)
    return ResultFiles(SHIPPED if start_from == "shipped" else Path(start_from)).model


def is_released(start_from: str) -> bool:
    """Whether `training.start_from` names a file of weights that Zhang et al. released for PyTorch."""
    return start_from.endswith(".pth")


def with_digest(training: Training) -> Training:
    """Return the settings of training as records have them: the digest of the saved network instead of its folder.

    Raises:
        InputError: there is no such network.
    """
    if training.start_from is None:
        return training
    path = model_file(training.start_from)
    try:
        digest = files.digest_file(path)
    except OSError as error:
        raise InputError(
            f"{KEY}: expected shipped, or a folder with {path.name} such as results/<run>, received "
            f"{training.start_from}, but {path} cannot be read ({error.strerror}); name another folder, or set null"
        ) from None
    return training.model_copy(update={"start_from": f"sha256:{digest}"})
