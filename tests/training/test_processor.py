"""What a checkpoint says about the processor that wrote it, and the warning of a run that resumes on another."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ves.base.files import read_json, write_json
from ves.training.processor import cpu_name, processor
from ves.training.train import train

pytestmark = pytest.mark.numbers

CPU = torch.device("cpu")
OTHER = "avx2" if torch.backends.cpu.get_cpu_capability() == "DEFAULT" else "default"  # kernels than those of here


def train_elsewhere(run: Path) -> None:
    """`ves train RUN` by a process whose torch takes other kernels."""
    subprocess.run(
        [sys.executable, "-m", "ves", "train", str(run)], env=os.environ | {"ATEN_CPU_CAPABILITY": OTHER}, check=True
    )


def back_to(run: Path, step: int) -> Path:
    """What a kill after the checkpoint of that step would have left; that checkpoint."""
    (run / "model.safetensors").unlink()
    for path in (run / "checkpoints").glob("step-*"):
        if path.name > f"step-{step:08d}":
            shutil.rmtree(path)
    return run / "checkpoints" / f"step-{step:08d}"


def steps_of(run: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.mark.skipif(
    not torch.cpu.get_capabilities().get("avx2"), reason="torch has one kind of kernels for this processor"
)
def test_a_run_resumes_on_another_processor_with_a_warning(tiny_run, caplog):
    run = tiny_run(epochs=1, precision="fp32", threads=1)
    train_elsewhere(run)
    kept = back_to(run, 6)
    assert read_json(kept / "checkpoint.json")["processor"]["kernels"] == OTHER.upper()
    train(run)
    here = torch.backends.cpu.get_cpu_capability()
    expected = f'{kept}: written on another processor (kernels: "{OTHER.upper()}" -> "{here}"); training resumes'
    (warning,) = [record.message for record in caplog.records if "another processor" in record.message]
    assert warning.startswith(expected) and warning.endswith("to rounding only")
    assert (run / "model.safetensors").exists()
    assert steps_of(run) == list(range(1, steps_of(run)[-1] + 1))


def test_on_the_same_processor_and_from_older_checkpoints_there_is_no_warning(tiny_run, caplog):
    run = tiny_run(epochs=1, precision="fp32", threads=1)
    train(run)
    expected = (run / "model.safetensors").read_bytes()
    kept = back_to(run, 6)
    train(run)
    assert (run / "model.safetensors").read_bytes() == expected
    content = read_json(back_to(run, 6) / "checkpoint.json")
    assert content.pop("processor") == processor(CPU)
    write_json(kept / "checkpoint.json", content)
    train(run)
    assert (run / "model.safetensors").read_bytes() == expected
    assert "another processor" not in caplog.text  # the run's folder is called after this test


def test_switches_that_change_the_kernels_are_kept():
    assert processor(CPU, {"MKL_CBWR": "COMPATIBLE", "HOME": "/"}).keys() - processor(CPU, {}).keys() == {"MKL_CBWR"}


def test_the_name_of_a_cpu(tmp_path):
    lines = "cpu family\t: 25\nmodel\t\t: 1\nmodel name\t: AMD EPYC 7763 64-Core Processor\nstepping\t: 1\n"
    (tmp_path / "cpuinfo").write_text(f"{lines}\n{lines.replace('7763', '7443')}")
    assert cpu_name(tmp_path / "cpuinfo") == "AMD EPYC 7763 64-Core Processor, family 25, model 1, stepping 1"
    (tmp_path / "arm").write_text("processor\t: 0\nCPU implementer\t: 0x41\n")
    assert cpu_name(tmp_path / "arm") == cpu_name(tmp_path / "none") == os.uname().machine
