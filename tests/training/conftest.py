from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

import pytest
from training_data import Done, Train, write_data


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small corpus, tiny base weights and ``recipe.yaml``."""
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def train(data: Path) -> Train:
    """``train(stage, "key=value", …)``: ``aligncap train`` in this process."""
    from aligncap.cli import main

    def run(stage: str, *overrides: str, config: Path = data / "recipe.yaml") -> Done:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["aligncap", "train", stage, "--config", str(config), *overrides])
            redirected = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
            with redirected[0], redirected[1], pytest.raises(SystemExit) as ended:
                main()
        return Done(int(ended.value.code or 0), out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def finished(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run, without dropout (which depends on how a step is split into batches)."""
    output = tmp_path_factory.mktemp("finished")
    done = train("all", f"output={output}", "model.bridge.dropout=0.0")
    assert done.code == 0, done.err
    assert "1 recordings cannot be used" in done.err
    return output
