"""The settings of the sources of images; `pipeline.dataset.sources` reads them."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.values import Place, Real, Section
from pipeline.images.formats import MAX_MEGAPIXELS, TONED_BELOW


class SampleSource(Section):
    """Crops of the colour photographs installed with scikit-image."""

    kind: Literal["sample"] = "sample"


_Switch = Annotated[bool, Field(exclude_if=lambda value: not value)]  # omitted if off, as in older records


class KaggleSource(Section):
    """The arrays of Kaggle's "image-colorization" dataset: gray_scale.npy, ab1.npy, ab2.npy and so on."""

    kind: Literal["kaggle"] = "kaggle"
    path: Place
    leave_out_damaged: _Switch = False
    dark: _Switch = False


class HDF5Source(Section):
    """One HDF5 file with the datasets L and ab."""

    kind: Literal["hdf5"] = "hdf5"
    path: Place
    leave_out_damaged: _Switch = False
    dark: _Switch = False


class FolderSource(Section):
    """A folder of photographs, including its subfolders."""

    kind: Literal["folder"] = "folder"
    path: Place
    gray_below: Annotated[Real, Field(ge=0)] = 2.0
    max_megapixels: Annotated[Real, Field(gt=0)] = MAX_MEGAPIXELS
    # The next ones are omitted if they are the default, as in older records.
    toned_below: Annotated[Real, Field(ge=0, exclude_if=lambda value: value == TONED_BELOW)] = TONED_BELOW
    table: Annotated[Place | None, Field(exclude_if=lambda table: table is None)] = None
    crop: Annotated[Literal["centre", "squash"], Field(exclude_if=lambda crop: crop == "centre")] = "centre"


Source = Annotated[SampleSource | KaggleSource | HDF5Source | FolderSource, Field(discriminator="kind")]
