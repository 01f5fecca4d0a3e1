"""Reading the configuration from files and assignments."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from pipeline.config import sweeps
from pipeline.config.schema import TRAINED, UNTRAINED, Config, Experiment
from pipeline.config.values import Section
from pipeline.config.yaml_files import LINES, parse, read_yaml
from pipeline.core.errors import InputError
from pipeline.core.text import shown

VARIABLE = "DEEPCOLOR_CONFIG"  # environment variable with the workflow's configuration, as JSON
MOST_PROBLEMS = 10
# What was expected, by the type of pydantic's error; its own words are those of Python rather than YAML.
EXPECTED = {
    "missing": "a value",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": LINES,
    "model_type": LINES,
    "model_attributes_type": LINES,
    "invalid_key": "text as the key",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "literal_error": "{expected}",
    "string_too_short": "text",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "a name that matches {pattern}",
    "union_tag_invalid": "one of {expected_tags}",
    "union_tag_not_found": "a value",
}

S = TypeVar("S", bound=Section)


def parse_config(values: Mapping[str, Any], origin: str = "") -> Config:
    """Check a mapping and fill in defaults.

    Args:
        values: the settings, by key.
        origin: the files that they come from, for errors.

    Raises:
        InputError: a value is invalid; names its key.
    """
    return _checked(Config, values, origin)


def with_experiment_files(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return a configuration with the experiments in a folder, one in each YAML file, named after it.

    An experiment of the configuration with the name of a file changes that one.

    Raises:
        InputError: a file is no YAML mapping.
    """
    experiments = {path.stem: read_yaml(path) for path in sorted(folder.glob("*.yaml"))}
    written = values.get("experiments") or {}
    if not isinstance(written, Mapping):
        return dict(values)  # which `parse_config` refuses
    return {**values, "experiments": sweeps.merged(experiments, written)} if experiments else dict(values)


def check_values(section: type[S], values: Mapping[str, Any], key: str) -> S:
    """Check the values at a key of the configuration that its schema does not know; raises as `parse_config`."""
    return _checked(section, values, "", key.split("."))


def _checked(section: type[S], values: Mapping[str, Any], origin: str, key: Sequence[str] = ()) -> S:
    try:
        return section.model_validate(dict(values))
    except ValidationError as error:
        problems = [_explain({**problem, "loc": (*key, *problem["loc"])}) for problem in error.errors()[:MOST_PROBLEMS]]
        if error.error_count() > MOST_PROBLEMS:
            problems.append(f"and {error.error_count() - MOST_PROBLEMS} more")
        raise InputError(": ".join(filter(None, (origin, "; ".join(problems))))) from None


def _explain(problem: Any) -> str:
    place = list(problem["loc"])
    if place[:1] == ["datasets"]:
        del place[2:3]  # pydantic adds the kind of source, which is no key
    if place[:1] == ["experiments"] and place[2:3] in ([TRAINED], [UNTRAINED]):
        del place[2:3]  # likewise
    key = "".join(c if c.isprintable() else "?" for c in ".".join(map(str, place)))[:200]
    if problem["type"] == "extra_forbidden":
        return f"{key or '(empty)'}: unknown key; config/config.yaml lists all keys"
    context, received = problem.get("ctx", {}), shown(problem["input"])
    if problem["type"] in ("missing", "union_tag_not_found"):
        received = "none"
    if problem["type"].startswith("union_tag"):  # of a dataset
        key += ".kind"
        received = repr(context["tag"]) if "tag" in context else received
    if problem["type"] in EXPECTED:
        message = f"expected {EXPECTED[problem['type']].format(**context)}, received {received}"
    else:  # mostly ours
        message = problem["msg"].removeprefix("Value error, ")
    return f"{key}: {message}" if key else message


def every_value(section: Section) -> dict[str, Any]:
    """Return the values of a section as JSON values, also those that records omit because they are defaults.

    `parse_config` of the result gives the section. The changes of an experiment are only those that it names.
    """
    if isinstance(section, Experiment):
        return section.model_dump()

    def plain(value: Any) -> Any:
        if isinstance(value, Section):
            return every_value(value)
        return {key: plain(each) for key, each in value.items()} if isinstance(value, dict) else value

    return {name: plain(getattr(section, name)) for name in type(section).model_fields}


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` updated with `change`, recursively."""
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def refuse_duplicate_keys(paths: Iterable[Path], assignments: Iterable[str]) -> None:
    """Refuse keys that occur twice in one of Snakemake's configuration files or values: it would use the last one.

    Args:
        paths: configuration files.
        assignments: the arguments of ``snakemake --config``, ``KEY=VALUE``.

    Raises:
        InputError: names the file or argument, the key and its position.
    """
    for path in paths:
        read_yaml(path)
    for text in assignments:
        if text.partition("=")[2].lstrip().startswith(("{", "[")):  # Snakemake reads other values by its own rules
            parse_assignment(text, "--config")


def parse_assignment(text: str, option: str = "--set") -> dict[str, Any]:
    """Parse ``embedding.seed=1`` as ``{"embedding": {"seed": 1}}``; the value is YAML.

    Raises:
        InputError: ``=`` is missing, or the value is not YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"{option} {text!r}: expected KEY=VALUE, for example embedding.weights=imagenet")
    nested = parse(value, f"{option} {text!r}: expected a YAML value after '='")
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
        raise InputError("--set: expected a key such as training.epochs, received one with too many parts") from None
    return parse_config(merge(values, changes or {}), " + ".join(map(str, paths)))
