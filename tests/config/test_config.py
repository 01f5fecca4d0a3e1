"""The configuration: its file and its model agree, and errors name the key."""

import contextlib

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import ROOT

from pipeline.config import schema
from pipeline.config.loading import (
    every_value,
    load_config,
    merge,
    parse_assignment,
    parse_config,
    refuse_duplicate_keys,
)
from pipeline.config.runs import find
from pipeline.config.schema import Config
from pipeline.config.sweeps import runs_of
from pipeline.config.yaml_files import read_yaml
from pipeline.core.errors import InputError
from pipeline.networks import notation

DEFAULT = ROOT / "config" / "config.yaml"


def keys(values, prefix=""):
    found = set()
    for key, value in values.items():
        found |= {prefix + key} | (keys(value, f"{prefix}{key}.") if isinstance(value, dict) else set())
    return found


def refused(values):
    with pytest.raises(InputError) as caught:
        parse_config(values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def written(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return path


def test_duplicate_keys_that_snakemake_would_accept_are_refused(tmp_path):
    path = written(tmp_path, "training: {epochs: 2}\n")
    refuse_duplicate_keys([path], ["root=@scratch", "limit=3", "limit=4", "training={epochs: 2}"])
    with pytest.raises(InputError, match=r"--config .*duplicate key 'epochs'"):
        refuse_duplicate_keys([path], ["training={epochs: 2, epochs: 3}"])
    with pytest.raises(InputError, match=r"mine\.yaml.*duplicate key 'training' in line 2"):
        refuse_duplicate_keys([written(tmp_path, "training: {epochs: 2}\ntraining: {epochs: 3}\n")], [])


def test_the_default_file_says_every_key_with_the_models_default():
    values = read_yaml(DEFAULT)
    assert set(values.pop("experiments")) == {"shipped"} and set(values["sweeps"]) == {"family"}
    values["sweeps"] = {}
    assert parse_config(values) == Config()
    # From records, if defaults.
    omitted = {"embedding.network", "evaluation.temperature", "evaluation.train", "sweeps", "searches"}
    omitted |= {f"training.{key}" for key in (*schema._ADDED, "trackers")}
    assert keys(values) == keys(Config().model_dump()) | omitted


def test_the_papers_file_asks_for_the_papers_experiment():
    paper = load_config([DEFAULT, ROOT / "config" / "paper.yaml"])
    assert paper.dataset == "kaggle" and paper.datasets["kaggle"].kind == "kaggle"
    assert paper.datasets["kaggle"].path == "data/kaggle-archive"
    assert paper.embedding.weights == "imagenet"
    assert paper.training.epochs == 2500
    assert paper.limit is None
    assert paper.split == Config().split


def test_the_shipped_weights_are_trained_on_the_photographs_of_their_table():
    color = load_config([DEFAULT, ROOT / "config" / "color.yaml"])
    photographs = color.datasets[color.dataset]
    assert (ROOT / photographs.table).is_file()
    assert notation.of_run(find(color, "color"), color.architectures).head["power"] == 0.5


@pytest.mark.parametrize(
    ("values", "key", "received"),
    [
        ({"epochs": 3}, "epochs", "unknown key"),
        ({"training": {"epoch": 3}}, "training.epoch", "unknown key"),
        ({"datasets": {"x": {"kind": "sample", "path": "p"}}}, "datasets.x.path", "unknown key"),
        ({"training": {"epochs": -1}}, "training.epochs", "received -1"),
        ({"training": {"epochs": 0}}, "training.epochs", "received 0"),
        ({"training": {"epochs": 2.5}}, "training.epochs", "received 2.5"),
        ({"training": {"epochs": "three"}}, "training.epochs", "received 'three'"),
        ({"training": {"epochs": "3.0"}}, "training.epochs", "received '3.0'"),
        ({"training": {"epochs": True}}, "training.epochs", "received True"),
        ({"training": {"patience": 0}}, "training.patience", "received 0"),
        ({"training": {"memory_gib": -1}}, "training.memory_gib", "received -1"),
        ({"training": {"precision": "float16"}}, "training.precision", "received 'float16'"),
        ({"embedding": {"weights": ""}}, "embedding.weights", "received ''"),
        ({"embedding": {"seed": 2**32}}, "embedding.seed", f"received {2**32}"),
        ({"embedding": None}, "embedding", "received None"),
        ({"split": {"train": 1.2}}, "split.train", "received 1.2"),
        ({"split": {"train": "0,6"}}, "split.train", "received '0,6'"),
        ({"split": {"train": float("nan")}}, "split.train", "received nan"),
        ({"split": {"train": 0.7}}, "split", "received 1.1"),
        ({"split": {"train": 0.8, "validation": 0.2, "test": 0}}, "split.test", "received 0"),
        ({"dataset": "photos"}, "dataset", "received 'photos'"),
        ({"dataset": "a/b"}, "dataset", "received 'a/b'"),
        ({"datasets": {"../x": {"kind": "sample"}}}, "datasets.../x", "received '../x'"),
        ({"datasets": {"x": {"kind": "zip"}}}, "datasets.x.kind", "received 'zip'"),
        ({"datasets": {"x": {}}}, "datasets.x.kind", "received none"),
        ({"datasets": {"x": {"kind": "kaggle"}}}, "datasets.x.path", "received none"),
        ({"datasets": {"x": {"kind": "folder", "path": "p", "gray_below": 10**400}}}, "datasets.x.gray_below", "inf"),
        ({"images_per_shard": 12}, "images_per_shard", "received 12"),
        ({"limit": 0}, "limit", "received 0"),
        ({"replace": "yes"}, "replace", "received 'yes'"),
        ({"architectures": {"mine": {"encoder": "64/2"}}}, "architectures.mine.fusion", "received none"),
        ({5: 1}, "5", "received 5"),
        ({"root": 16**5000}, "root", "too long to show"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_its_key_and_what_was_received(values, key, received):
    message = refused(values)
    assert message.startswith(f"{key}: ")
    assert received in message
    assert "Input should" not in message  # pydantic's words, of Python rather than YAML


def test_every_mistake_is_told_at_once():
    message = refused({"limit": -1, "threads": "two", "trainings": {}})
    assert all(part in message for part in ("limit: ", "threads: ", "trainings: unknown key"))


def test_shares_that_add_up_but_for_rounding_are_taken():
    assert parse_config({"split": {"train": 1 / 3, "validation": 1 / 3, "test": 1 / 3}}).split.train == 1 / 3


@pytest.mark.parametrize("text", ["6e-1", "0.6", ".6", "+6E-1", "'6e-1'"])
def test_a_number_is_understood_however_yaml_reads_it(tmp_path, text):
    path = written(tmp_path, f"split: {{train: {text}, validation: 2e-1, test: 2e-1}}\ntraining: {{memory_gib: 4}}\n")
    config = load_config([path])
    assert config.split.train == 0.6 and config.split.test == 0.2
    assert config.training.memory_gib == 4.0


def test_nested_values_are_understood_as_snakemake_hands_them_over():
    given = {"training": {"epochs": "5", "tensorboard": "true", "patience": "null"}, "limit": "30", "root": "12"}
    config = parse_config(given)
    assert (config.training.epochs, config.training.tensorboard, config.training.patience) == (5, True, None)
    assert (config.limit, config.root) == (30, "12")


@pytest.mark.parametrize("text", ["", "\n", "# nothing but a comment\n", "---\n", "{}"])
def test_an_empty_file_changes_nothing(tmp_path, text):
    assert load_config([written(tmp_path, text)]) == Config()


@pytest.mark.parametrize(
    "text",
    [
        "a: [1", "\tlimit: 3", "training:\n\tepochs: 3", "a: 1\n b: 2", "limit: !!python/object/apply:os.getcwd []",
        "limit: !mine 3", "limit: !!int foo", "limit: !!float foo", "limit: !!timestamp foo", "limit: !!bool foo",
        "limit: 0b_", "root: 2001-99-99", "limit: " + "9" * 5000, "root: " + "[" * 1000, "a: *nowhere", "\x00",
        b"\xff\xfe\x00", b"root: \xfc", "? [a]\n: b",
    ],
)  # fmt: skip
def test_what_is_not_plain_yaml_is_refused_with_the_files_name(tmp_path, text):
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=r"YAML") as caught:
        read_yaml(path)
    assert str(caught.value).startswith(f"{path}: ") and "<unicode string>" not in str(caught.value)


@pytest.mark.parametrize(("text", "received"), [("- 1\n- 2", r"\[1, 2\]"), ("hello", "'hello'"), ("3", "3")])
def test_a_file_that_holds_no_mapping_is_refused(tmp_path, text, received):
    with pytest.raises(InputError, match=f"mine.yaml: .* received {received}"):
        read_yaml(written(tmp_path, text))


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected a configuration file"):
        read_yaml(tmp_path / "absent.yaml")
    with pytest.raises(InputError, match="expected a YAML file"):
        read_yaml(tmp_path)


def test_merging_goes_to_any_depth_and_changes_neither_side():
    base = {"a": {"b": {"c": 1, "d": 2}}, "e": 3, "f": {"g": 1}}
    change = {"a": {"b": {"c": 9}}, "e": {"x": 1}, "f": None}
    assert merge(base, change) == {"a": {"b": {"c": 9, "d": 2}}, "e": {"x": 1}, "f": None}
    assert base == {"a": {"b": {"c": 1, "d": 2}}, "e": 3, "f": {"g": 1}} and change["a"] == {"b": {"c": 9}}


def test_later_files_win_and_assignments_win_over_files(tmp_path):
    first, second = tmp_path / "1.yaml", tmp_path / "2.yaml"
    first.write_text("limit: 5\ntraining: {epochs: 7, patience: 2}\n")
    second.write_text("training: {epochs: 9}\n")
    config = load_config([first, second], ["limit=6", "training.memory_gib=1e-1"])
    assert (config.limit, config.training.epochs, config.training.patience) == (6, 9, 2)
    assert config.training.memory_gib == 0.1
    with pytest.raises(InputError, match=r"1\.yaml \+ .*2\.yaml: limit: .*received 0"):
        load_config([first, second], ["limit=0"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("limit=3", {"limit": 3}), ("embedding.seed=1", {"embedding": {"seed": 1}}), ("root=a=b", {"root": "a=b"}),
     ("limit=", {"limit": None}), (" a.b = [1, 2]", {"a": {"b": [1, 2]}}), ("replace=true", {"replace": True})],
)  # fmt: skip
def test_an_assignment_is_a_nested_value(text, expected):
    assert parse_assignment(text) == expected


@pytest.mark.parametrize("text", ["limit", "=3", " =3", "limit=[1", "limit=!!int x", "limit=2001-99-99"])
def test_a_broken_assignment_is_refused_as_it_was_typed(text):
    with pytest.raises(InputError, match=r"^--set '") as caught:
        parse_assignment(text)
    assert repr(text) in str(caught.value) and "expected" in str(caught.value)


FRAGMENTS = st.sampled_from(
    ["dataset", "datasets", "split", "train", "limit", "kind", "sample", "training", ": ", ":", "\n", "\n  ", "- ", "[",
     "]", "{", "}", ",", "!!int ", "!!float ", "!!timestamp ", "!!bool ", "!!set ", "!!binary ", "&a ", "*a", "<<: ",
     "0b", "0x", "_", "1e-4", "2001-02-31", "1:60", ".nan", ".inf", "9", "'", '"', "\\x", "|\n", "? ", "#", "\t", "é"]
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.text(), st.lists(FRAGMENTS, max_size=12).map("".join)))
def test_any_text_is_a_configuration_or_is_refused(tmp_path, text):
    path = written(tmp_path, text)
    for files, assignments in (([path], []), ([], [text])):
        with contextlib.suppress(InputError):
            assert isinstance(load_config(files, assignments), Config)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("1e-4")
NAMES = st.sampled_from(sorted({part for key in keys(Config().model_dump()) for part in key.split(".")})) | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))


@settings(max_examples=300, deadline=None)
@given(values=st.dictionaries(NAMES, VALUES, max_size=4))
def test_any_values_are_a_configuration_or_are_refused(values):
    try:
        config = parse_config(values)
    except InputError:
        return
    assert parse_config(config.model_dump()) == config


def test_the_commented_experiment_sweep_and_search_of_the_default_file_can_be_uncommented():
    text = DEFAULT.read_text(encoding="utf-8")
    before, example = text.split("  # another, for example:\n", 1)
    example, after = example.split("\ntraining: ", 1)
    lines = [
        "searches:" if line.startswith("searches:") else line.replace("# ", "", 1) if line.startswith("  # ") else line
        for line in example.splitlines()
    ]
    config = parse_config(yaml.safe_load("\n".join([before, *lines, f"training: {after}"])))
    assert len(runs_of(config, "rates")) == 12 and config.searches["vivid"].trials == 20
    assert config.experiments["wide"].architecture == "base"
    assert config.experiments["wide"].training.model_dump(exclude_unset=True) == {"epochs": 20}


def test_every_value_can_be_read_again_and_names_every_key():
    values = {
        "dataset": "x",
        "datasets": {"x": {"kind": "folder", "path": "p"}},
        "architectures": {"mine": {"encoder": "8/2 4/2 4/2", "fusion": "1x1:4", "decoder": "4 ^ 4 ^ 2 ^"}},
        "experiments": {"one": {"architecture": "mine", "learning_rate": 1e-3, "training": {"mirror": False}}},
    }
    config = parse_config(values)
    shown = every_value(config)
    assert parse_config(yaml.safe_load(yaml.safe_dump(shown))) == config
    assert shown["training"]["optimizer"] == "adam" and shown["evaluation"]["temperature"] is None
    assert shown["experiments"]["one"]["training"] == {"mirror": False}
    assert keys(read_yaml(DEFAULT)["training"]) == keys(shown["training"])
