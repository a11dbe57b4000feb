from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tones import tone

from aligncap.baselines.encoder_decoder import EncoderDecoder, Shape
from aligncap.baselines.mel import BANDS, MelFile, log_mel
from aligncap.baselines.vocabulary import END, UNKNOWN, Vocabulary
from aligncap.corpora import Row
from aligncap.training.data import Clip


def test_words_come_back_with_capitals_and_signs() -> None:
    text = "She doesn't speak fast. A high-pitched voice, sad!"
    words = Vocabulary.of([text], least=1)
    assert words.text(words.ids(text)) == text
    assert words.ids("zebra") == [UNKNOWN, END]
    assert words.text([words.ids("voice")[0], END, 5]) == "Voice"
    assert len(Vocabulary.of(["one two", "two"])) == 4 + 1  # a word that occurs once is unknown


def test_frames_do_not_depend_on_the_gain() -> None:
    samples = tone(150, 1.0)
    frames = log_mel(samples)
    assert frames.shape == (50, BANDS)
    assert np.abs(frames - log_mel(0.1 * samples)).max() < 0.1
    assert np.abs(frames.astype(float).mean(0)).max() < 0.02
    assert len(log_mel(np.tile(samples, 12))) == 500  # 10 s at most
    assert not np.allclose(frames, log_mel(tone(250, 1.0)), atol=0.5)


def test_the_file_of_frames_is_made_once(tmp_path: Path) -> None:
    import soundfile

    clips = []
    for name, seconds in (("a", 0.3), ("b", 0.7)):
        soundfile.write(tmp_path / f"{name}.wav", tone(200, seconds), 16000)
        clips.append(Clip(Row(name, f"{name}.wav"), tmp_path / f"{name}.wav"))
    read: list[int] = []
    frames = MelFile(clips, tmp_path, tmp_path / "f.npy", lambda: read.append(1))
    assert [len(frames[0]), len(frames[1])] == [15, 35]
    assert np.array_equal(MelFile(clips, tmp_path, tmp_path / "f.npy", lambda: read.append(1))[1], frames[1])
    assert len(read) == 2
    assert len(MelFile(clips[1:], tmp_path, tmp_path / "f.npy")[0]) == 35


@pytest.fixture
def network() -> EncoderDecoder:
    torch.manual_seed(0)
    return EncoderDecoder(Shape(12, width=16, heads=2, encoder_layers=1, decoder_layers=1, dropout=0.0)).eval()


def test_padding_changes_nothing(network: EncoderDecoder) -> None:
    frames = torch.randn(2, 21, BANDS)
    labels = torch.tensor([[5, 6, END], [7, END, -100]])
    together = network(frames, torch.tensor([21, 10]), labels)["ce"]
    alone = network(frames[:1], torch.tensor([21]), labels[:1])["ce"]
    alone = alone + network(frames[1:, :10], torch.tensor([10]), labels[1:, :2])["ce"]
    assert together.item() == pytest.approx(alone.item(), abs=1e-4)


def test_a_word_sees_only_the_words_before_it(network: EncoderDecoder) -> None:
    states, padded = network.hear(torch.randn(1, 20, BANDS), torch.tensor([20]))
    one = network.write(states, padded, torch.tensor([[1, 5, 6]]))
    other = network.write(states, padded, torch.tensor([[1, 5, 9]]))
    assert torch.allclose(one[:, :2], other[:, :2], atol=1e-5)
    assert not torch.allclose(one[:, 2], other[:, 2], atol=1e-3)


def test_it_learns_what_it_hears(network: EncoderDecoder) -> None:
    frames = torch.stack([torch.full((20, BANDS), -1.0), torch.full((20, BANDS), 1.0)])
    labels = torch.tensor([[5, 7, END], [6, 8, END]])
    lengths = torch.tensor([20, 20])
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    network.train()
    for _ in range(80):
        optimizer.zero_grad()
        network(frames, lengths, labels)["ce"].backward()
        optimizer.step()
    network.eval()
    assert [network.greedy(clip) for clip in frames] == labels.tolist()
