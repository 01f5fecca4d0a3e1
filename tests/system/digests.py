"""Digests of everything that `make demo` and `snakemake report` write, to check that a change preserves the bytes.

    python tests/system/digests.py CLONE              # print them as JSON
    python tests/system/digests.py CLONE OTHER        # list differences; exit code 1 if there are any

CLONE and OTHER are clones in which the demo has run, or JSON files printed earlier. Times, locks and Snakemake's files
are omitted. The module paths of layers in saved networks are not compared, nor the digests of networks in other files.
"""

import hashlib
import json
import re
import sys
import zipfile
from pathlib import Path

FOLDERS = ("data", "models", "results")
LEFT_OUT = re.compile(r"(^|/)(\.[^/]*|(predicting_)?times\.csv|README\.md)$")
NETWORK = "model.keras"


def _content(path):
    if path.name == NETWORK:
        with zipfile.ZipFile(path) as archive:
            members = [archive.read(name) for name in sorted(archive.namelist())]
        return b"".join(re.sub(rb'"module": "pipeline[^"]*"', b'"module": ""', member) for member in members)
    content = path.read_bytes()
    if path.suffix == ".json" and NETWORK.encode() in content:
        content = re.sub(rb'"[^"]*(model\.keras|checksum)": "[0-9a-f]{64}"', b"", content)
    return content


def digests(clone):
    """SHA-256 of each file by its path in the clone."""
    if clone.is_file():
        return json.loads(clone.read_text())
    paths = [path for folder in FOLDERS for path in sorted((clone / folder).rglob("*")) if path.is_file()]
    names = {path.relative_to(clone).as_posix(): path for path in paths}
    return {n: hashlib.sha256(_content(p)).hexdigest() for n, p in names.items() if not LEFT_OUT.search(n)}


def main():
    one, *others = [digests(Path(argument)) for argument in sys.argv[1:3]]
    if not others:
        print(json.dumps(one, indent=1))
        return
    (other,) = others
    different = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
    print("\n".join(different) or f"all {len(one)} files are the same")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
