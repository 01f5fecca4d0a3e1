"""Look into the caches of a dataset by hand, with zarr, dask and xarray: the code of caches.md.

Usage: python docs/caches.py data/sample
"""

import csv
import sys
from pathlib import Path

import dask.array
import numpy as np
import xarray
import zarr
from skimage.color import lab2rgb

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "data/sample")

images = zarr.open_group(folder / "images.zarr", mode="r")
print("L", images["L"].shape, "ab", images["ab"].shape, images["L"].dtype)
made = images.attrs["deepcolor"]
print(made["rows"], made["kind"], "made with zarr", made["versions"]["zarr"])

with (folder / "index.csv").open(newline="", encoding="utf-8") as file:
    index = list(csv.DictReader(file))
lightness, ab = images["L"][3], images["ab"][3]
lab = np.dstack([lightness / 2.55, ab.astype(float) - 128])
picture = np.rint(255 * lab2rgb(lab)).astype(np.uint8)
print(index[3]["id"], "mean of red, green and blue:", picture.mean(axis=(0, 1)).round(1))

colours = dask.array.from_zarr(folder / "images.zarr", component="ab")
chroma = np.hypot(colours[..., 0] - 128.0, colours[..., 1] - 128.0).mean(axis=(1, 2)).compute()
print("mean chroma of an image:", chroma.min().round(1), "to", chroma.max().round(1))

embedding = dask.array.from_zarr(folder / "embeddings.zarr", component="embedding")
centred = (embedding - embedding.mean(axis=0)).compute()
directions = centred / np.linalg.norm(centred, axis=1, keepdims=True)
nearest = np.argsort(1 - directions @ directions[3])[1:4]
print("nearest to", index[3]["id"], "are", *(index[row]["id"] for row in nearest))

with (folder / "splits.csv").open(newline="", encoding="utf-8") as file:
    partitions = [row["partition"] for row in csv.DictReader(file)]
with xarray.open_zarr(folder / "images.zarr", consolidated=False) as opened:
    names = {"image": [row["id"] for row in index], "partition": ("image", partitions)}
    named = opened.assign_coords(names)
    print(named["ab"].dims, dict(named.sizes))
    print("mean L:", int(named["L"].sel(image=index[3]["id"]).mean()))
    for name, each in named["ab"].groupby("partition"):
        print(name, "mean a, b:", each.mean(("image", "y", "x")).values.round(1) - 128)
