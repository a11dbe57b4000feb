"""The sentence encoder on a tiny random model of MiniLM's family."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from aligncap.errors import MissingExtraError
from aligncap.evaluation.sentence_encoder import SentenceEncoder, sentence_similarity

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "she", "he", "sounds", "sad", "glad", "."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("encoder")
    (path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    BertTokenizerFast(vocab=str(path / "vocab.txt")).save_pretrained(path)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=256,
    )
    BertModel(config).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def encoder(folder: Path) -> SentenceEncoder:
    return SentenceEncoder(folder)


def test_a_sentence_has_the_same_embedding_in_any_company(encoder: SentenceEncoder) -> None:
    texts = ["she sounds sad", "he", "", "she sounds sad", "he sounds glad. she sounds sad.", "glad " * 400]
    together = encoder.encode(texts)
    assert together.shape == (6, 16)
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(6), abs=1e-5)
    for text, vector in zip(texts, together, strict=True):
        assert encoder.encode([text])[0] == pytest.approx(vector, abs=1e-5)
    assert np.array_equal(together[0], together[3])
    assert not np.allclose(together[0], together[1], atol=1e-3)


def test_mean_over_words_without_padding(encoder: SentenceEncoder, folder: Path) -> None:
    model = BertModel.from_pretrained(folder).eval()
    ids = torch.tensor([[2, 5, 7, 8, 3]])  # [CLS] she sounds sad [SEP]
    with torch.inference_mode():
        mean = model(ids).last_hidden_state[0].mean(0).numpy()
    found = encoder.encode(["she sounds sad", "he sounds glad . she sounds sad ."])[0]
    assert found == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def test_progress_and_nothing_to_do(encoder: SentenceEncoder) -> None:
    steps: list[int] = []
    encoder.encode(["he", "she", "he", "glad"], batch_size=2, advance=steps.append)
    assert steps == [2, 1]
    assert encoder.encode([]).shape == (0, 16)


def test_similarity_of_captions(encoder: SentenceEncoder) -> None:
    score = sentence_similarity(["she sounds sad", "he"], [["she sounds sad"], ["glad", "he"]], encoder)
    assert score.captions[0] == pytest.approx(1)
    vectors = encoder.encode(["he", "glad"])
    assert score.captions[1] == pytest.approx((1 + float(vectors[0] @ vectors[1])) / 2, abs=1e-5)
    with pytest.raises(ValueError, match="caption 0 has no reference"):
        sentence_similarity(["he"], [[]], encoder)


def test_without_torch(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"sentence similarity needs extra packages"):
        SentenceEncoder(folder)
