"""Configurations that must give the same run, through the real command line.

Tolerances: losses to 1e-4 of their size (float32 sums in another order), weights to 2e-4 (Adam divides by the root of
a gradient's mean square, which turns the rounding of tiny gradients into steps); what is computed in the same order
must agree far better, but for the last bits of sums, which an attention's key bias, whose gradient is nothing but
rounding, shows most.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_data import Train

from aligncap.training.examples import Windows

NO_DROPOUT = "model.bridge.dropout=0.0"
RESUMED = {"rtol": 1e-6, "atol": 1e-5}


def assert_same(ours: Path, theirs: Path, rtol: float = 1e-4, atol: float = 2e-4) -> None:
    logs = [json.loads((run / "align" / "log.json").read_text()) for run in (ours, theirs)]
    assert [point["step"] for point in logs[0]] == [1, 2, 3, 4, 5, 6]
    for name in ("loss", "kd", "ce", "head"):
        a, b = ([point[name] for point in log] for log in logs)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-6, err_msg=name)
    assert logs[0][0]["kd"] > 0.01
    a, b = (load_file(run / "align" / "checkpoint-6" / "model.safetensors") for run in (ours, theirs))
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        torch.testing.assert_close(tensor, b[name], rtol=rtol, atol=atol, msg=name)


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1", "CUDA_VISIBLE_DEVICES": ""}


def test_eight_batches_of_one_are_one_batch_of_eight(train: Train, finished: Path, tmp_path: Path) -> None:
    assert train("align", f"base={finished}", f"output={tmp_path}", NO_DROPOUT, "align.micro_batch=1").code == 0
    assert_same(tmp_path, finished)


def test_a_cached_teacher_is_the_live_teacher(train: Train, finished: Path, tmp_path: Path) -> None:
    assert train("align", f"base={finished}", f"output={tmp_path}", NO_DROPOUT, "align.cache=false").code == 0
    assert_same(tmp_path, finished)


def test_two_processes_are_one(data: Path, finished: Path, tmp_path: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["-m", "aligncap", "train", "align", "--config", str(data / "recipe.yaml")]
    overrides = [f"base={finished}", f"output={tmp_path}", NO_DROPOUT, "align.micro_batch=2"]
    done = subprocess.run(
        [*launcher, *command, *overrides], env=environment(), capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("training rows") == 1, "only the main process speaks"
    assert_same(tmp_path, finished)


@pytest.fixture(scope="module")
def uninterrupted(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with dropout: a resumed run must drop what this one dropped."""
    output = tmp_path_factory.mktemp("uninterrupted")
    assert train("align", f"output={output}").code == 0
    return output


KILLED = """
import os, signal, sys
from aligncap.cli import main
from aligncap.training.trainer import StageTrainer
step, last, seen = StageTrainer.training_step, int(sys.argv[1]), 0
def training_step(self, *args, **kwargs):
    global seen
    if seen == last:
        os.kill(os.getpid(), signal.SIGKILL)
    seen += 1
    return step(self, *args, **kwargs)
StageTrainer.training_step = training_step
sys.argv[:2] = ["aligncap"]
main()
"""


def test_a_run_killed_at_a_random_step_goes_on_as_if_nothing_had_been(
    train: Train, data: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    micro_step = random.Random(7).randrange(5, 12)  # two a step: after the first checkpoint, before the end
    arguments = [f"base={uninterrupted}", f"output={tmp_path}", "align.micro_batch=4"]
    command = [sys.executable, "-c", KILLED, str(micro_step), "train", "align", "--config", str(data / "recipe.yaml")]
    killed = subprocess.run([*command, *arguments], env=environment(), capture_output=True, timeout=600, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "checkpoint").exists()
    whole = tmp_path / "whole"
    assert train("align", f"base={uninterrupted}", f"output={whole}", "align.micro_batch=4").code == 0
    done = train("align", *arguments)
    assert done.code == 0, f"killed before micro-step {micro_step}: {done.err}"
    assert f"going on from {tmp_path / 'align' / 'checkpoint-'}" in done.err
    assert_same(tmp_path, whole, **RESUMED)


def test_a_signal_saves_and_a_torn_checkpoint_is_skipped(
    train: Train, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = Windows.__getitem__

    def interrupt(self: Windows, place: int) -> object:
        if place == 30:
            os.kill(os.getpid(), signal.SIGTERM)
        return get(self, place)

    arguments = [f"base={uninterrupted}", f"output={tmp_path}"]
    with monkeypatch.context() as patch:
        patch.setattr(Windows, "__getitem__", interrupt)
        stopped = train("align", *arguments)
    assert stopped.code == 128 + signal.SIGTERM
    last = max((tmp_path / "align").glob("checkpoint-?"))
    assert f"saved {last}" in stopped.err
    assert "the same command again" in stopped.err
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    (last / "optimizer.pt").write_bytes((last / "optimizer.pt").read_bytes()[:-1])
    done = train("align", *arguments)
    assert f"skipped {last}: torn: optimizer.pt is not what was written" in done.err
    assert "going on from" in done.err
    assert_same(tmp_path, uninterrupted, **RESUMED)


def test_a_foreign_checkpoint_is_skipped(train: Train, uninterrupted: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "align" / "checkpoint-4"
    foreign.parent.mkdir()
    (uninterrupted / "align" / "checkpoint-4").rename(foreign)
    manifest = json.loads((foreign / "manifest.json").read_text())
    (foreign / "manifest.json").write_text(json.dumps({**manifest, "key": "of another run"}))
    done = train("align", f"base={uninterrupted}", f"output={tmp_path}")
    assert f"skipped {foreign}: foreign" in done.err
    assert "going on" not in done.err
    assert_same(tmp_path, uninterrupted, **RESUMED)
