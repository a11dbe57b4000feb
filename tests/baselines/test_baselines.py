from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tones import tone

from aligncap.audio import Audio
from aligncap.baselines import Baseline, load_baseline
from aligncap.baselines.classifier import Labelled, LinearClassifier, fit, recalls
from aligncap.baselines.functionals import FUNCTIONALS, functionals, names
from aligncap.captioner.results import Caption, Failure
from aligncap.captions import main_emotion
from aligncap.errors import CheckpointError

Train = Callable[..., Path]


def captions(baseline: Baseline, *sources: object) -> list[Caption | Failure]:
    return list(baseline.stream(sources))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["functionals", "probe"])
def test_a_classifier_with_templates_learns_and_captions(train: Train, kind: str) -> None:
    folder = train(kind)
    baseline = load_baseline(folder)
    high, low, bad = captions(baseline, Audio(tone(300), "high"), Audio(tone(105), "low"), Failure("x", "x", "E", "no"))
    assert isinstance(high, Caption)
    assert isinstance(low, Caption)
    assert isinstance(bad, Failure)
    assert main_emotion(high.caption) == max(high.emotions, key=high.emotions.__getitem__)
    assert sum(high.emotions.values()) == pytest.approx(1)
    assert high.emotions["angry"] > low.emotions["angry"]
    about = json.loads((folder / "baseline.json").read_text())
    assert about["trained"]["clips"] == 8  # neither dev nor zero_shot
    assert set(about["trained"]["macro_recall"]) == {"train", "dev"}


def test_a_caption_does_not_depend_on_the_others(train: Train) -> None:
    baseline = load_baseline(train("functionals"))
    alone = captions(baseline, Audio(tone(200), "clip"))
    assert captions(baseline, Audio(tone(120), "other"), Audio(tone(200), "clip"))[1:] == alone


def test_long_recordings_are_cut_and_bad_ones_are_told(train: Train, tmp_path: Path) -> None:
    baseline = load_baseline(train("functionals"))
    found = captions(baseline, str(tmp_path / "none.wav"), Audio(tone(150, 12.0), "long"))
    assert isinstance(found[0], Failure)
    assert [one.audio for one in found[1:]] == ["long"] * (len(found) - 1)
    assert all(one.end - one.start <= 10 for one in found[1:])


def test_an_encoder_decoder_trains_stops_goes_on_and_captions(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aligncap.baselines.train_encoder_decoder.Shape", _small)
    whole = train("encoder-decoder", f"output={tmp_path / 'whole'}")
    # as if it had been stopped after two steps
    again = tmp_path / "again" / "encoder-decoder" / "training"
    again.parent.mkdir(parents=True)
    (whole / "training").rename(again)
    for path in (*again.glob("checkpoint-4*"), again / "log.json"):
        if path.is_dir():
            for part in path.iterdir():
                part.unlink()
            path.rmdir()
        else:
            path.unlink()
    assert [path.name for path in again.glob("checkpoint-*")] == ["checkpoint-2"]
    resumed = train("encoder-decoder", f"output={tmp_path / 'again'}")
    one, other = (load_file(folder / "model.safetensors") for folder in (whole, resumed))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    [said] = captions(load_baseline(whole), Audio(tone(200), "clip"))
    assert isinstance(said, Caption)
    assert said.caption
    assert said.emotions == {}


def _small(vocabulary: int, **_: object) -> object:
    from aligncap.baselines.encoder_decoder import Shape

    return Shape(vocabulary, width=16, heads=2, encoder_layers=1, decoder_layers=1)


def test_damaged_and_foreign_folders_are_refused(train: Train, tmp_path: Path) -> None:
    (tmp_path / "baseline.json").write_text("{}")
    with pytest.raises(CheckpointError, match="train it again"):
        load_baseline(tmp_path)
    folder = train("functionals")
    about = json.loads((folder / "baseline.json").read_text())
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    (tmp_path / "baseline.json").write_text(json.dumps({**about, "kind": "oracle"}))
    with pytest.raises(CheckpointError, match="no kind of baseline"):
        load_baseline(tmp_path)


def test_other_base_weights_are_refused(train: Train, tmp_path: Path) -> None:
    folder = train("probe")
    about = json.loads((folder / "baseline.json").read_text())
    about["base_weights"]["speech_encoder"]["fingerprint"] = "0" * 32
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    (tmp_path / "baseline.json").write_text(json.dumps(about))
    with pytest.raises(CheckpointError, match="not the base weights"):
        load_baseline(tmp_path)


def test_functionals_say_what_was_not_measured() -> None:
    found = functionals({"f0_median_hz": 200.0, "pause_share": 0.25, "hnr_db": None, "jitter_percent": float("nan")})
    told = dict(zip(names(), found.tolist(), strict=True))
    assert told["f0_median_hz"] == pytest.approx(np.log(200))
    assert told["pause_share"] == 0.25
    assert np.isnan(told["hnr_db"])
    assert (told["pause_share measured"], told["hnr_db measured"], told["jitter_percent measured"]) == (1, 0, 0)
    assert len(found) == 2 * len(FUNCTIONALS)


def _labelled(x: list[list[float]], targets: list[int]) -> Labelled:
    wanted = torch.nn.functional.one_hot(torch.tensor(targets), 3).bool()
    allowed = torch.tensor([[True, True, False]]).expand(len(x), -1)
    return Labelled(torch.tensor(x), wanted, allowed, torch.ones(len(x)), ["c"] * len(x))


def test_squares_tell_apart_what_no_line_does_and_unknown_numbers_count_as_the_mean() -> None:
    clips = _labelled([[-1.0], [0.0], [1.0], [-1.1], [0.1], [1.1]], [0, 1, 0, 0, 1, 0])
    assert recalls(fit(clips, clips, quadratic=True, unrestricted=0.0)[0], clips) == {"c": 1.0}
    straight, _ = fit(clips, clips, quadratic=False, unrestricted=0.0)
    assert recalls(straight, clips)["c"] < 1.0
    unknown = straight.probabilities(torch.tensor([[float("nan")]]))
    assert torch.allclose(unknown, straight.probabilities(straight.tensors["mean"][None]))


def test_recall_is_among_the_labels_of_the_corpus() -> None:
    tensors = {"mean": torch.zeros(1), "deviation": torch.ones(1), "weight": torch.zeros(3, 1)}
    model = LinearClassifier({**tensors, "bias": torch.tensor([1.0, 0.0, 9.0])}, quadratic=False)
    assert recalls(model, _labelled([[0.0], [0.0]], [0, 1])) == {"c": 0.5}
