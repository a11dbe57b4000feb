"""Sentence embeddings by all-MiniLM-L6-v2, for the metric of sentence similarity. English only."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aligncap.errors import MissingExtraError
from aligncap.metrics.score import Score, check_pairs
from aligncap.metrics.similarity import similarity
from aligncap.weights import resolve

__all__ = ["SentenceEncoder", "sentence_similarity"]

_WEIGHTS = "all-minilm-l6-v2"
_LONGEST = 256  # word pieces; the rest of a text is cut off, as in sentence-transformers' settings of this model


class SentenceEncoder:
    """Turns sentences into embeddings of unit length; the cosine of two is their dot product.

    The mean of the last hidden states over a sentence's word pieces, normalised (Reimers and Gurevych 2019): the
    same as sentence-transformers computes, up to rounding.

    Args:
        folder: where the model and its tokenizer are; None is the cache of base weights, fetched where it is missing.
        progress: tell on stderr when something is fetched.

    Raises:
        MissingExtraError: PyTorch or transformers is not installed.
        WeightsError: the weights cannot be had.
    """

    def __init__(self, folder: Path | None = None, *, progress: bool = True) -> None:
        try:
            import torch
            from transformers import AutoModel, AutoTokenizer
        except ImportError as error:
            raise MissingExtraError("sentence similarity", "torch") from error
        folder = folder or resolve(_WEIGHTS, progress=progress)
        self._torch: Any = torch
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        with redirect_stderr(io.StringIO()):  # hide transformers' own bar
            model = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
        self._model: Any = model.eval()

    def encode(
        self, sentences: Sequence[str], *, batch_size: int = 64, advance: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Embed sentences; each different one is run once, those of like length together.

        Args:
            sentences: any texts; of a long one only the first 256 word pieces are read.
            batch_size: sentences at a time.
            advance: called with the number of different sentences done, after each batch.

        Returns:
            (sentences, dimensions) float32 of unit length.
        """
        different = sorted(set(sentences), key=lambda text: (len(text), text))
        if not different:
            return np.zeros((0, int(self._model.config.hidden_size)), dtype=np.float32)
        parts = []
        for start in range(0, len(different), batch_size):
            batch = different[start : start + batch_size]
            parts.append(self._embed(batch))
            if advance is not None:
                advance(len(batch))
        vectors = np.concatenate(parts)
        row = {text: index for index, text in enumerate(different)}
        found: NDArray[np.float32] = vectors[[row[text] for text in sentences]]
        return found

    def _embed(self, batch: list[str]) -> NDArray[np.float32]:
        torch = self._torch
        inputs = self._tokenizer(batch, padding=True, truncation=True, max_length=_LONGEST, return_tensors="pt")
        with torch.inference_mode():
            states = self._model(**inputs).last_hidden_state
            mask = inputs["attention_mask"].unsqueeze(-1).to(states.dtype)
            mean = (states * mask).sum(1) / mask.sum(1)
            unit: NDArray[np.float32] = torch.nn.functional.normalize(mean, dim=-1).numpy()
        return unit


def sentence_similarity(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    encoder: SentenceEncoder | None = None,
    *,
    advance: Callable[[int], None] | None = None,
) -> Score:
    """Mean cosine similarity of each caption with its references; see `aligncap.metrics.similarity`.

    Args:
        candidates: captions as written, not tokenised.
        references: references of each caption, at least one.
        encoder: None loads the default one.
        advance: called with the number of different sentences embedded, after each batch.

    Raises:
        ValueError: nothing to score, or captions and references that do not match.
        MissingExtraError: PyTorch or transformers is not installed.
        WeightsError: the weights cannot be had.
    """
    check_pairs(candidates, references)
    encoder = encoder or SentenceEncoder()
    vectors = encoder.encode([*candidates, *(text for several in references for text in several)], advance=advance)
    ends = len(candidates) + np.cumsum([len(several) for several in references])
    return similarity(vectors[: len(candidates)], np.split(vectors[len(candidates) :], ends[:-1] - len(candidates)))
