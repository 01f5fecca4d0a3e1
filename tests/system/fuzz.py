"""Fuzz one reader of test_fuzz.py, guided by the coverage of DeepColor's code.

    pip install atheris
    python tests/system/fuzz.py arrays|hdf5|photographs|configurations|run_names -max_total_time=600

Takes libFuzzer's options. A failing input is saved as crash-<digest>; name that file to try it again.
"""

import contextlib
import sys
import tempfile
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
READERS = ("arrays", "hdf5", "photographs", "configurations", "run_names")


def main():
    sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]
    if len(sys.argv) < 2 or sys.argv[1] not in READERS:
        sys.exit(f"expected one of {', '.join(READERS)}, received {' '.join(sys.argv[1:]) or 'nothing'}")
    with atheris.instrument_imports(include=["pipeline"]):
        import test_fuzz
    from hypothesis import given

    test = getattr(test_fuzz, f"test_{sys.argv.pop(1)}")
    strategies = test.hypothesis._given_kwargs
    with contextlib.ExitStack() as stack:
        # The folder that pytest would give.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rest = {"tmp_path": folder} if "tmp_path" in test.hypothesis.inner_test.__code__.co_varnames else {}

        @given(**strategies)
        def once(**drawn):
            test.hypothesis.inner_test(**rest, **drawn)

        atheris.Setup([sys.argv[0], "-len_control=0", *sys.argv[1:]], once.hypothesis.fuzz_one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
