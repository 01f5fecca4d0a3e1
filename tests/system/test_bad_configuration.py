"""Bad configurations, options and run names: one clear line, exit code 2, and nothing written."""

import pytest
from bad_input import MARK, assert_refused, check_refused, endless, folder, given, loop, pipe, put


def configured(content):
    def prepare(root):
        put(root / "mine.yaml", content.encode() if isinstance(content, str) else content)
        return ("ingest", "--config", "mine.yaml")

    return prepare


FILE = "expected a YAML file"
WRONG_CONFIGURATIONS = {
    "unknown key": ("epochs: 3", "mine.yaml: epochs: unknown key"),
    "unknown nested key": ("training: {epoch: 3}", "training.epoch: unknown key"),
    "no key": ("'': 3", "(empty): unknown key"),
    "3000 unknown keys": ("\n".join(f"k{n}: 1" for n in range(3000)), "; and 2990 more"),
    "key of control characters": (r'"\e[31mred": 1', "?[31mred: unknown key"),
    "key that is a number": ("1: 1", "1: expected text"),
    "key that is a list": ("? [1, 2]\n: 1", FILE),
    "key twice": ("limit: 3\nlimit: 4", "'limit'"),
    "wrong type": ("limit: [3]", "limit: expected a whole number, received [3]"),
    "nothing for a section": ("training: null", "training: "),
    "word for a number": ("limit: three", "limit: expected a whole number, received 'three'"),
    "fraction for a whole": ("limit: 3.0", "received 3.0"),
    "yes for a number": ("limit: yes", "received True"),
    "date for a number": ("limit: 2001-01-01", "limit: "),
    "not a number": ("split: {train: .nan}", "split.train: expected a finite number"),
    "nan as a word": ("split: {train: nan}", "received 'nan'"),
    "infinite": ("training: {checkpoint_seconds: .inf}", "training.checkpoint_seconds: "),
    "negative epochs": ("training: {epochs: -1}", "training.epochs: "),
    "shares of more than 1": ("split: {train: 0.7}", "split: expected train + validation + test to be 1"),
    "a share of 0": ("split: {train: 0.8, test: 0}", "split.test: "),
    "400 digits": (f"limit: {'9' * 400}", "limit: expected less than 2147483648"),
    "5000 digits": (f"limit: {'9' * 5000}", FILE),
    "a trillion threads": ("threads: 1000000000000", "threads: "),
    "an enormous shard": ("images_per_shard: 80000000000000000000000", "images_per_shard: "),
    "megapixels below zero": ("datasets: {x: {kind: folder, path: p, max_megapixels: -3}}", "x.max_megapixels: "),
    "unknown dataset": ("dataset: nope", "dataset: expected one of sample, received 'nope'"),
    "unknown kind": ("datasets: {x: {kind: zip}}", "datasets.x.kind: "),
    "dataset outside": ("dataset: ..\ndatasets: {..: {kind: sample}}", "dataset: "),
    "dataset below": ("dataset: a/b\ndatasets: {a/b: {kind: sample}}", "dataset: "),
    "dataset of two lines": ('dataset: "a\\n"\ndatasets: {"a\\n": {kind: sample}}', "dataset: "),
    "dataset of 300 letters": (f"dataset: {'a' * 300}\ndatasets: {{{'a' * 300}: {{}}}}", "at most 100 characters"),
    "NUL in a path": (r'data: "a\0b"', "data: expected a path"),
    "half a character in a path": (r'data: "a\ud800b"', FILE),
    "Python object": (f"limit: !!python/object/apply:os.mkdir [{MARK}]", FILE),
    "Python name": ("limit: !!python/name:os.system", FILE),
    "Python module": ("limit: !!python/module:antigravity", FILE),
    "unknown tag": ("limit: !mine 3", FILE),
    "tab": ("training:\n\tepochs: 3", FILE),
    "no mapping": ("- 1", "received [1]"),
    "binary": (bytes(range(256)), FILE),
    "UTF-16": ("limit: 3".encode("utf-16"), FILE),
    "byte-order mark": (b"\xef\xbb\xbflimit: -1", "limit: expected at least 1, received -1"),
    "500 brackets": ("root: " + "[" * 500 + "]" * 500, "root: "),
    "within itself": ("training: &a {training: *a}", "training.training: unknown key"),
    "a folder": (folder, FILE),
    "a pipe": (pipe, "received a pipe or device"),
    "endless": (endless, "received a pipe or device"),
    "a link to itself": (loop, FILE),
}  # fmt: skip
CASES = {
    f"configuration, {name}": (configured(content), "mine.yaml: ", said)
    for name, (content, said) in WRONG_CONFIGURATIONS.items()
}


UNKNOWN_ARCHITECTURE = ("--set", "experiments.wide={architecture: bse, learning_rate: 1e-3}")
CASES |= {
    "experiment of an unknown architecture": (
        given("train", "wide", *UNKNOWN_ARCHITECTURE), "experiments.wide.architecture: ", "'bse'"
    ),
    "--images not .zarr": (given("ingest", "--images", "foo"), "--images", "ending in .zarr, received foo"),
    "--embeddings not .zarr": (given("embed", "--embeddings", "x.zip"), "--embeddings", "ending in .zarr"),
    "summary of no results": (given("summary"), "results: ", "received none"),
    "summary of a folder without runs": (given("summary", "--results", "r", file="r/x"), "r: ", "received none"),
    "--config, missing": (given("ingest", "--config", "absent.yaml"), "absent.yaml: ", "config.yaml"),
    "--set without =": (given("ingest", "--set", "limit"), "--set 'limit'", "expected KEY=VALUE"),
    "--set with NUL": (given("ingest", "--set", "root=\0"), r"--set 'root=\x00'", "expected a YAML value"),
    "--set of 3000 parts": (given("ingest", *["--set", ".".join("a" * 3000) + "=1"] * 2), "--set", "too many parts"),
    "--set into a number": (given("ingest", "--set", "limit.x=1"), "limit: ", "received {'x': 1}"),
    "data is a file": (given("ingest", "--set", "data=f", file="f"), "f/sample", "Not a directory"),
    "data below a file": (given("ingest", "--set", "data=f/x", file="f"), "f/x/sample", "Not a directory"),
    "root is a file": (given("summary", "--set", "root=f", file="f"), "f/results", "Not a directory"),
    "data with too long a name": (given("ingest", "--set", f"data={'a' * 300}"), "a" * 300, "File name too long"),
}  # fmt: skip
NAMES = {
    "nothing": ("", "expected <architecture>_lr"),
    "misspelt": ("bas_lr1e-4", "architecture 'bas': expected one of base, arch1, arch2, arch3"),
    "upper case": ("BASE_LR1e-4", "expected <architecture>_lr"),
    "another spelling": ("base_lr0.0001", "'base_lr1e-4'"),
    "outside": ("../base_lr1e-4", "expected <architecture>_lr"),
    "dots": ("..", "expected <architecture>_lr"),
    "absolute": ("/tmp/base_lr1e-4", "expected <architecture>_lr"),
    "of two lines": ("base_lr1e-4\n", r"run name 'base_lr1e-4\n'"),
    "NUL": ("base_lr1e-4\0", r"'base_lr1e-4\x00'"),
    "escape": ("\x1b[31m", r"'\x1b[31m'"),
    "not UTF-8": ("\udcff", r"'\udcff'"),
    "not finite": ("base_lrnan", "expected <architecture>_lr"),
    "no step": ("base_lr0", "expected a learning rate above 0"),
    "tiny step": ("base_lr1e-99999999", "expected a learning rate above 0"),
    "no batch": ("base_lr1e-4_bs0", "expected a batch size of 1 to 1000000"),
    "100000 letters": ("a" * 100_000, "at most 200 characters, received 100000"),
    "100000 digits": ("base_lr0." + "0" * 100_000 + "1", "at most 200 characters"),
    "100000 parts": ("_".join(["s1"] * 50_000), "at most 200 characters"),
}
CASES |= {f"run, {name}": (given("train", run), "rchitecture", said) for name, (run, said) in NAMES.items()}
for _name in (
    "100000 letters",
    "100000 digits",
    "100000 parts",
    "no step",
    "tiny step",
    "no batch",
    "another spelling",
):
    CASES[f"run, {_name}"] = (CASES[f"run, {_name}"][0], "run name ", CASES[f"run, {_name}"][2])


@pytest.mark.parametrize(("prepare", "named", "said"), CASES.values(), ids=CASES)
def test_a_bad_configuration_is_refused_in_one_line_and_nothing_is_written(call, tmp_path, prepare, named, said):
    check_refused(call, tmp_path, prepare, named, said)


@pytest.mark.parametrize(
    "arguments",
    [
        ["colorise"], ["--nonsense"], ["colorize"], ["train"], ["colorize", "a.jpg", "--run", "r", "--out"],
        ["colorize", "", "--run", "r", "--out", "o"], ["colorize", "a.jpg", "--run", "r", "--out", ""],
        *(["colorize", "a.jpg", "--run", "r", "--out", "o", "--max-megapixels", x] for x in ("-1", "0", "nan", "inf")),
        *(["serve", "--max-megabytes", x] for x in ("nan", "inf", "0", "x")), ["serve", "--max-megapixels", "nan"],
        ["report", "--results", ""], ["report", "--data", "nowhere"], ["verify", ""], ["inspect", "x", "--count", "0"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_wrong_command_line_is_refused_in_one_line(call, tmp_path, arguments):
    assert_refused(call(arguments), "")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told_with_the_option_that_names_it(call, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "full").touch()
    result = call(["colorize", "a.jpg", "--run", "results/x", "--out", "full/out"])
    assert result.exit_code == 2 and "(data, root)" not in result.stderr
