"""The language model of an exported model: rows of tokens, read and written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from aligncap.captioner.exported.folder import LANGUAGE_MODEL_FILE, Exported
from aligncap.captions.habits import Phrases, agreed

__all__ = ["Choose", "LanguageModel", "Row", "session"]

Choose = Callable[[NDArray[np.float32], Sequence[int]], Sequence[int]]
"""Chooses N tokens by their (N, vocabulary) scores; told of each its place in the response."""

_ROOM = 256


def session(path: Path, threads: int | None) -> Any:
    """Open a graph on the CPU."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # it would hinder clips side by side
    if threads is not None:
        options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class LanguageModel:
    """The weights; what is read and written with them lies in rows, which may be run at the same time.

    Args:
        folder: of the exported model.
        settings: its own.
        threads: of the CPU.
    """

    def __init__(self, folder: Path, settings: Exported, threads: int | None) -> None:
        self.settings = settings
        self.session = session(folder / LANGUAGE_MODEL_FILE, threads)
        self._table, self._scales = _open_table(folder, settings)

    def embed(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """(tokens, width) of token embeddings."""
        rows = self._table[np.asarray(tokens, np.int64)]
        if self._scales is None:
            return np.asarray(rows, np.float32)
        scales = self._scales[np.asarray(tokens, np.int64)]
        if self.settings.table.bits == 4:
            rows = np.stack([rows & 15, rows >> 4], -1).reshape(*rows.shape[:-1], -1)
        whole = rows.astype(np.float32) - np.float32(2 ** (self.settings.table.bits - 1))
        return np.asarray((whole * scales[..., None]).reshape(len(rows), -1))


class Row:
    """Reads tokens into one row of keys and values, whose end can be forgotten and read anew.

    Args:
        model: whose row it is.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self._settings = model.settings
        layers = range(model.settings.layers)
        self._names = [f"{kind}{{}}.{layer}" for layer in layers for kind in ("keys", "values")]
        self._room = 0
        self._state: list[Any] = []
        self._beginning: list[int] = []

    def read(self, embeddings: NDArray[np.float32], start: int, scored: int = 1) -> NDArray[np.float32]:
        """Read tokens; what was read from that place on is forgotten.

        Args:
            embeddings: (T, width).
            start: place of the first.
            scored: how many of the last ones' scores are wanted.

        Returns:
            (scored, vocabulary): scores of the tokens after these.
        """
        total = start + len(embeddings)
        self._make_room(total)
        binding = self.model.session.io_binding()
        binding.bind_cpu_input("embeddings", np.ascontiguousarray(embeddings[None]))
        binding.bind_cpu_input("last", np.array([total - 1], np.int32))
        binding.bind_cpu_input("total", np.array(total, np.int32))
        binding.bind_cpu_input("scored", np.array([len(embeddings) - scored]))
        for name, buffer in zip(self._names, self._state, strict=True):
            binding.bind_ortvalue_input(name.format(""), buffer)
            binding.bind_ortvalue_output(name.format("_out"), buffer)
        binding.bind_output("scores")
        self.model.session.run_with_iobinding(binding)
        scores: NDArray[np.float32] = binding.get_outputs()[-1].numpy()[0]
        return scores

    def read_prompt(self, tokens: Sequence[int], embeddings: NDArray[np.float32], shared: int) -> NDArray[np.float32]:
        """Read a prompt from its beginning.

        Args:
            tokens: of the prompt.
            embeddings: (T, width), speech embeddings in their places.
            shared: so many tokens at the beginning are as in other prompts: read once, and by themselves, so that
                what follows does not depend on whether they had to be read.

        Returns:
            (1, vocabulary): scores of the token after it.
        """
        beginning = list(tokens[:shared])
        if shared and beginning != self._beginning:
            self.read(embeddings[:shared], 0)
            self._beginning = beginning
        elif not shared:
            self._beginning = []
        return self.read(embeddings[shared:], shared)

    def write(
        self, scores: NDArray[np.float32], start: int, most: int, choose: Choose, phrases: Phrases | None
    ) -> list[int]:
        """Write a response.

        Args:
            scores: (1, vocabulary) of its first token.
            start: length of the prompt.
            most: tokens, at most.
            choose: of tokens, by their scores.
            phrases: guesses what comes next; guesses are read along, and those that would not have been chosen are
                forgotten.

        Returns:
            its tokens, with that which ends it, unless it is cut off.
        """
        written: list[int] = []
        guess: list[int] = []
        while True:
            places = range(len(written), len(written) + len(guess) + 1)
            written += agreed(list(choose(scores, places)), guess, self._settings.ends)
            if written[-1] in self._settings.ends or len(written) >= most:
                return written
            guess = [] if phrases is None else phrases.ahead(written)[: most - len(written) - 1]
            fed = [written[-1], *guess]
            scores = self.read(self.model.embed(fed), start + len(written) - 1, len(fed))

    def _make_room(self, places: int) -> None:
        """Buffers for so many tokens, with what they hold."""
        if places <= self._room:
            return
        room = -(-places // _ROOM) * _ROOM
        shape = (1, self._settings.groups, room, self._settings.head_width)
        grown = []
        for index in range(2 * self._settings.layers):
            buffer = np.zeros(shape, np.float32)
            if self._state:
                buffer[:, :, : self._room] = self._state[index].numpy()
            grown.append(onnxruntime.OrtValue.ortvalue_from_numpy(buffer))
        self._state, self._room = grown, room


def _open_table(folder: Path, settings: Exported) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
    """Token embeddings, left on the disk until they are looked up."""
    table, rows = settings.table, settings.vocabulary
    path = folder / table.file
    if table.scales is None:
        return np.memmap(path, np.float32, "r", table.weights, (rows, settings.width)), None
    blocks = settings.width // table.block
    shape = (rows, blocks, table.block * table.bits // 8)
    return (
        np.memmap(path, np.uint8, "r", table.weights, shape),
        np.memmap(path, np.float32, "r", table.scales, (rows, blocks)),
    )
