"""Reading the configuration from files and assignments."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipeline.config.schema import Config, shown
from pipeline.core.errors import InputError

VARIABLE = "DEEPCOLOR_CONFIG"  # environment variable with the workflow's configuration, as JSON
MOST_PROBLEMS = 10


def parse_config(values: Mapping[str, Any], origin: str = "the configuration") -> Config:
    """Check a mapping and fill in defaults.

    Raises:
        InputError: a value is invalid; names its key.
    """
    try:
        return Config.model_validate(dict(values))
    except ValidationError as error:
        problems = [_explain(problem) for problem in error.errors()[:MOST_PROBLEMS]]
        if error.error_count() > MOST_PROBLEMS:
            problems.append(f"and {error.error_count() - MOST_PROBLEMS} more")
        raise InputError(f"{origin}: {'; '.join(problems)}") from None


def _explain(problem: Any) -> str:
    place = list(problem["loc"])
    if place[:1] == ["datasets"]:
        del place[2:3]  # pydantic adds the kind of source, which is no key
    key = "".join(c if c.isprintable() else "?" for c in ".".join(map(str, place)))[:200]
    if problem["type"] == "extra_forbidden":
        return f"{key or '(empty)'}: unknown key; config/config.yaml lists all keys"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"{key}: expected a value, received none"
    received = "" if problem["type"] == "value_error" else f", received {shown(problem['input'])}"
    return f"{key}: {message}{received}" if key else f"{message}{received}"


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
    values = _yaml(text, f"{path}: expected a YAML file")
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected keys and values, received {type(values).__name__}")
    return values


def _yaml(text: str, expected: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - it is a SafeLoader
    except Exception as error:  # PyYAML lets errors of int, float, dates and deep nesting through
        raise InputError(f"{expected}, received: {str(error) or type(error).__name__}; correct it") from None


class _Loader(yaml.SafeLoader):
    """Refuses duplicate keys."""

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        keys: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    raise yaml.MarkedYAMLError(problem=f"the duplicate key {key.value!r}", problem_mark=key.start_mark)
                keys.add(key.value)
        return node


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` updated with `change`, recursively."""
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def parse_assignment(text: str) -> dict[str, Any]:
    """Parse ``embedding.seed=1`` as ``{"embedding": {"seed": 1}}``; the value is YAML.

    Raises:
        InputError: ``=`` is missing, or the value is not YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {text!r}: expected KEY=VALUE, for example embedding.weights=imagenet")
    nested = _yaml(value, f"--set {text!r}: expected a YAML value after '='")
    for part in reversed(key.strip().split(".")):
        nested = {part: nested}
    return dict(nested)


def load_config(
    paths: Iterable[Path],
    assignments: Iterable[str] = (),
    *,
    base: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Config:
    """Read a configuration: `base`, then files, then ``KEY=VALUE`` assignments, then `changes`; later values win."""
    paths, values = list(paths), dict(base or {})
    for path in paths:
        values = merge(values, read_yaml(path))
    try:
        for text in assignments:
            values = merge(values, parse_assignment(text))
    except RecursionError:
        raise InputError("--set: expected a key of a few parts, received very many; shorten it") from None
    return parse_config(merge(values, changes or {}), " + ".join(map(str, paths)) or "the configuration")
