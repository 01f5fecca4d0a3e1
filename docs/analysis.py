"""Run the code of analysis.md and write what each block shows below it.

Usage: python -m docs.analysis
"""

import ast
import contextlib
import re
from pathlib import Path
from typing import Any

PAGE, FOLDER = Path("docs/analysis.md"), Path("docs/analysis")
BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:\n```text\n.*?```\n)?", re.DOTALL)


def executed(page: str, folder: Path) -> str:
    """Return a page with the output of each block of Python, run in order in a folder, as a block of text below it."""
    names: dict[str, Any] = {}

    def block(found: re.Match[str]) -> str:
        shown = _shown(found["code"], names)
        return f"```python\n{found['code']}```\n" + (f"\n```text\n{shown}\n```\n" if shown else "")

    with contextlib.chdir(folder):
        return BLOCK.sub(block, page)


def _shown(code: str, names: dict[str, Any]) -> str:
    """Run code, and return the value of its last expression as text; as in a notebook, None is not shown."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(PAGE), "exec"), names)  # noqa: S102 - the code of our own page
    if last is None:
        return ""
    value = eval(compile(ast.Expression(last.value), str(PAGE), "eval"), names)  # noqa: S307
    return "" if value is None else "\n".join(line.rstrip() for line in str(value).splitlines())


if __name__ == "__main__":
    PAGE.write_text(executed(PAGE.read_text(encoding="utf-8"), FOLDER), encoding="utf-8")
