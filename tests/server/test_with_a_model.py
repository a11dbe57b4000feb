"""The server with a real captioner, of a tiny random model: together as alone, and as without a server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from fake import sound

from aligncap.captioner.sampling import Sampling
from aligncap.captioner.torch_captioner import TorchCaptioner
from aligncap.testing import tiny_model


@pytest.fixture
def captioner(tmp_path, monkeypatch: pytest.MonkeyPatch) -> TorchCaptioner:
    monkeypatch.setattr("aligncap.captioner.torch_captioner.MAX_NEW_TOKENS", 8)
    model, processor = tiny_model("whisper", "qwen3", tmp_path)
    with torch.no_grad():
        model.bridge.scale.fill_(1.0)
    return TorchCaptioner(model.eval(), processor, "tiny")


def test_together_as_alone(captioner: TorchCaptioner, served, post) -> None:
    recordings = [sound(0.5 + place / 7, place) for place in range(6)] + [sound(11, 9)]
    options = [{}, {"seed": 3, "num_captions": 2}]
    expected = [
        [[result.to_dict() for result in captioner.caption(data, **asked)] for data in recordings]
        for asked in ({"verify": False}, {"verify": False, "num_captions": 2, "sampling": Sampling(seed=3)})
    ]
    client = served(captioner, max_wait=0.3)
    for fields, wanted in zip(options, expected, strict=True):
        with ThreadPoolExecutor(len(recordings)) as pool:
            answers = list(pool.map(lambda data, f=fields: post(client, data, verify="false", **f), recordings))
        for answer, results in zip(answers, wanted, strict=True):
            found = answer.json()["captions"]
            assert [one["caption"] for one in found] == [one["caption"] for one in results]
            assert [one.get("alternatives") for one in found] == [one.get("alternatives") for one in results]
            for mine, theirs in zip(found, results, strict=True):
                assert mine["emotions"] == pytest.approx(theirs["emotions"], abs=2e-4)
                assert (mine["start"], mine["end"]) == (theirs["start"], theirs["end"])
    batches = client.get("/metrics").text
    assert "aligncap_batch_recordings_sum 14.0" in batches
    assert 'aligncap_batch_recordings_bucket{le="1.0"} 14.0' not in batches


def test_a_prompt_that_does_not_fit(captioner: TorchCaptioner, served, post, monkeypatch: pytest.MonkeyPatch) -> None:
    config = captioner.model.language_model.config.get_text_config()
    monkeypatch.setattr(config, "max_position_embeddings", 40)
    answer = post(served(captioner), prompt="word " * 99)
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "PromptError")
    assert "the prompt is too long" in answer.json()["error"]["message"]
