"""YAML files, without checks of their keys."""

from pathlib import Path
from typing import Any

import yaml

from pipeline.core.errors import InputError
from pipeline.core.text import shown

LINES = "`key: value` lines"


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a configuration file without checking its keys.

    Raises:
        InputError: the file is missing, not YAML, or no mapping.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise InputError(f"{path}: expected a YAML file, received a pipe or device; save it as a file")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(
            f"{path}: expected a configuration file, found none; the default is config/config.yaml"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a YAML file, received: {error}; save it as UTF-8 text") from None
    values = parse(text, f"{path}: expected a YAML file")
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected {LINES}, received {shown(values)}; see config/config.yaml")
    return values


def parse(text: str, expected: str) -> Any:
    """Parse YAML in which no key occurs twice.

    Raises:
        InputError: begins with `expected`, and says what is wrong where.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - it is a SafeLoader
    except Exception as error:  # PyYAML lets errors of int, float, dates and deep nesting through
        problem = str(error) or type(error).__name__
        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
            mark = error.problem_mark
            problem = f"{error.problem or error.context} in line {mark.line + 1}, column {mark.column + 1}"
        problem = problem.replace('"<unicode string>", ', "")
        raise InputError(f"{expected}, received: {problem}; correct it") from None


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # the former, of libyaml, is fast
    """Refuses duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        keys: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    raise yaml.MarkedYAMLError(problem=f"the duplicate key {key.value!r}", problem_mark=key.start_mark)
                keys.add(key.value)
        return super().construct_mapping(node, deep)
