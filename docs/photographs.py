"""Write pipeline/weights/photographs.csv: the photographs of config/color.yaml, their groups, authors and licences.

Usage: python -m docs.photographs FOLDER

FOLDER contains the photographs and SOURCES.csv, with the columns file, source, licence, author and terms. The table has
the rows whose terms are "open", sorted by file. A group is named after its first file and contains the photographs of

- one product, object, dish, species or walk, where the source has a folder for each;
- one recipe, whose pictures have the same name apart from a number at its end;
- one species of flower by one Flickr user.

Every other photograph is a group of its own. No near-duplicates are left between groups: all pairs with similar
difference hashes (8x8), or similar colours at 16x16 pixels, also mirrored, were looked at.
"""

import re
import sys
from pathlib import Path

from pipeline.core import csv_files, files

TABLE = Path("pipeline/weights/photographs.csv")
COLUMNS = ("file", "group", "source", "licence", "author", "sha256")
SUBJECT_PER_FOLDER = ("GroceryStoreDataset", "dreambooth", "HowToCook", "PDImages", "OpenNature")
RECIPES = ("based.cooking", "public-domain-recipes")


def subject(row: dict[str, str]) -> str:
    """Return what a photograph shows, as far as its source says; otherwise its file."""
    repository, _, path = row["source"].split(" @")[0].partition(" ")
    repository = repository.rpartition("/")[2]
    folder = Path(path).parent.name  # the data sets' own partitions have folders of the same name
    if repository in SUBJECT_PER_FOLDER:
        return f"{repository} {folder}"
    if repository in RECIPES:
        return "recipe " + re.sub(r"[-_]?[0-9]+$", "", Path(path).stem)
    if repository == "flower_photos" and (user := re.search(r"flickr\.com/photos/([^/]+)/", row["author"])):
        return f"{folder} {user[1]}"
    return row["file"]


def decoded(author: str) -> str:
    r"""Return a name whose UTF-8 bytes are written in octal, as in "Dalb\303\251ra"."""

    def characters(match: re.Match[str]) -> str:
        return bytes(int(octal, 8) for octal in match[0].split("\\")[1:]).decode()

    return re.sub(r"(?:\\[0-3][0-7]{2})+", characters, author)


def main(folder: Path) -> None:
    """Write the table of the photographs in `folder`."""
    listed = csv_files.read(folder / "SOURCES.csv", ("file", "source", "licence", "author", "terms"))
    first: dict[str, str] = {}
    rows = []
    for row in sorted((row for row in listed if row["terms"] == "open"), key=lambda row: row["file"]):
        group = first.setdefault(subject(row), row["file"])
        more = {"group": group, "author": decoded(row["author"]), "sha256": files.digest_file(folder / row["file"])}
        rows.append({**row, **more})
    csv_files.write(TABLE, COLUMNS, ({name: row[name] for name in COLUMNS} for row in rows))
    print(f"{TABLE}: {len(rows)} photographs in {len(first)} groups")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
