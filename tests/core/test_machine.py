"""The precision that `auto` chooses."""

import pytest

from pipeline.config import loading
from pipeline.core import machine

CPUINFO = "processor\t: 0\nmodel name\t: A\nflags\t\t: fpu avx2 {}\nbugs\t\t: x\n\nprocessor\t: 1\nflags\t\t: fpu\n"


@pytest.fixture
def made(monkeypatch, tmp_path):
    """Simulate a machine with the given processor flags and GPU capabilities."""

    def make(flags, capabilities, packages):
        (tmp_path / "cpuinfo").write_text(CPUINFO.format(flags))
        monkeypatch.setattr(machine, "Path", lambda _: tmp_path / "cpuinfo")
        command = tmp_path / "nvidia-smi"
        command.write_text("#!/bin/sh\n" + "".join(f"echo {each}\n" for each in capabilities))
        command.chmod(0o755)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        monkeypatch.setattr(machine, "_installed", lambda name: packages)

    return make


@pytest.mark.parametrize(
    ("flags", "capabilities", "packages", "expected"),
    [
        ("fma", [], False, "float32"),
        ("avx512f avx512_bf16", [], False, "mixed_bfloat16"),
        ("amx_bf16", [], True, "mixed_bfloat16"),
        ("fma", ["9.0"], True, "mixed_bfloat16"),
        ("fma", ["9.0", "7.5"], True, "float32"),
        ("avx512_bf16", ["7.0"], True, "float32"),
        ("avx512_bf16", ["7.0"], False, "mixed_bfloat16"),  # a GPU that no package can use
        ("fma", ["No devices were found"], True, "float32"),
    ],
)
def test_auto_takes_bfloat16_where_the_hardware_computes_it(made, flags, capabilities, packages, expected):
    made(flags, capabilities, packages)
    settings = loading.parse_config({"training": {"precision": "auto"}, "embedding": {"precision": "auto"}})
    assert settings.training.precision == settings.embedding.precision == expected
    assert loading.parse_config({}).training.precision == "float32"


@pytest.mark.parametrize("devices", ["", "-1"])
def test_a_gpu_that_is_hidden_does_not_count(made, monkeypatch, devices):
    made("fma", ["9.0"], True)
    assert machine.fastest_precision() == "mixed_bfloat16"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", devices)
    assert machine.fastest_precision() == "float32"


def test_where_nothing_tells_the_processor_it_is_float32(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "Path", lambda _: tmp_path / "missing")
    monkeypatch.setattr(machine, "_installed", lambda name: False)
    assert machine.processor_flags() == set() and machine.fastest_precision() == "float32"


def test_what_is_installed_is_found():
    assert machine._installed("numpy") and not machine._installed("nvidia-cudnn-of-nowhere")
