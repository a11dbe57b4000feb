"""AlignCap beside what one would otherwise run the same model with, on the CPU, in the same run.

    pip install llama-cpp-python gguf ctranslate2
    python benchmarks/peers.py --exported EXPORTED_FOLDER

Three comparisons; each way takes its turn in every round, and ratios are medians over the rounds:

* Captions. *Plain* is what one writes with transformers: Whisper's encoder, all its layers, over the padded window of
  30 s, then `generate` with the prompt as embeddings, greedy. The bridge's embeddings are given to it, for nothing.
  AlignCap writes as it does by default, measures the voice and verifies; and greedily without verifying, as plain does.
* Decoding, in tokens a second, of the same language model by llama.cpp, one token after the other, and by AlignCap with
  and without guessing ahead. llama.cpp's weights are ours (float32, and Q8_0: 8 bits in blocks of 32); its scores after
  a prompt are compared with ours before anything is timed.
* The speech encoder by CTranslate2: its three first layers, which are those that we run, and all six, over 30 s, as it
  is used for Whisper; and ours over the clip alone.

And a floor under the cost of any of it: the emotion head's answer put into a template.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from speed import RATE, five_second_clips, machine

import aligncap
from aligncap.captioner.exported.language_model import Row
from aligncap.captions.prompt import DEFAULT_INSTRUCTION

GREEDY = aligncap.Sampling(temperature=0)
Ways = dict[str, Callable[[], object]]


def rounds(ways: Ways, runs: int) -> dict[str, list[float]]:
    """Seconds of every way in every round, after one round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(runs + 1):
        for name, call in ways.items():
            start = time.perf_counter()
            call()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


class Plain:
    """The model as one runs it with transformers alone."""

    def __init__(self, checkpoint: str, threads: int) -> None:
        from transformers import WhisperConfig, WhisperFeatureExtractor
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        from aligncap.weights import resolve

        captioner = aligncap.load(checkpoint, device="cpu", dtype="float32", threads=threads)
        self.captioner, self.model = captioner, captioner.model
        folder = resolve("whisper-base")
        self.extractor = WhisperFeatureExtractor.from_pretrained(folder)
        settings = json.loads((Path(folder) / "config.json").read_text())
        config = WhisperConfig(**{key: settings[key] for key in ("d_model", "encoder_layers", "num_mel_bins")})
        config.encoder_attention_heads = settings["encoder_attention_heads"]
        config.encoder_ffn_dim = settings["encoder_ffn_dim"]
        self.encoder = WhisperEncoder(config).eval()  # its time does not depend on its weights
        self.language_model = self.model.language_model

    @torch.inference_mode()
    def prepare(self, clips: list[np.ndarray]) -> None:
        """Prompts with the speech in them, which plain is given."""
        model, processor = self.model, self.captioner.processor
        batch = processor.features(clips)
        speech = model.hear(batch["features"], batch["feature_lengths"])
        counts = speech.mask.sum(1).tolist()
        clues = ["" for _ in clips]
        prompts = processor.prompts(counts, DEFAULT_INSTRUCTION, clues)
        self.given = model.embed(prompts["input_ids"], speech), prompts["attention_mask"]

    @torch.inference_mode()
    def caption(self, clips: list[np.ndarray]) -> list[str]:
        features = self.extractor(clips, sampling_rate=RATE, return_tensors="pt").input_features
        self.encoder(features)
        embeddings, mask = self.given
        tokens = self.language_model.generate(
            inputs_embeds=embeddings, attention_mask=mask, max_new_tokens=64, do_sample=False
        )
        return [text.strip() for text in self.captioner.processor.batch_decode(tokens, skip_special_tokens=True)]


def captions(arguments: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Comparison of captions: one clip, and 16."""
    plain = Plain(arguments.checkpoint, arguments.threads)
    ours = {
        dtype: aligncap.load(arguments.checkpoint, device="cpu", dtype=dtype, threads=arguments.threads)
        for dtype in ("float32", "int8")
    }
    for folder in arguments.exported:
        loaded = aligncap.load(str(folder), threads=arguments.threads)
        ours[f"exported in {loaded.number_format}"] = loaded
    found = {}
    for count in (1, 16):
        clips = five_second_clips(16)[:count]
        sources = [(clip, RATE) for clip in clips]
        plain.prepare(clips)
        ways: Ways = {"plain transformers, float32": lambda clips=clips: plain.caption(clips)}
        for name, captioner in ours.items():
            ways[f"AlignCap, {name}"] = lambda c=captioner, s=sources: c.caption(s, batch_size=16)
            ways[f"AlignCap, {name}, greedy, not verified"] = lambda c=captioner, s=sources: c.caption(
                s, batch_size=16, sampling=GREEDY, verify=False
            )
        heard = ours["int8"]

        @torch.inference_mode()
        def floor(clips: list[np.ndarray] = clips, heard: Any = heard) -> list[str]:
            batch = heard.processor.features(clips)
            logits = heard.model.hear(batch["features"], batch["feature_lengths"]).emotion_logits
            return [f"The speaker sounds {heard.emotions[int(row.argmax())]}." for row in logits]

        ways["emotion head and a template"] = floor
        found[f"{count} x 5 s"] = rounds(ways, arguments.runs)
    return found


def decoding(arguments: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Tokens a second after a prompt, one clip's caption at a time."""
    import llama_cpp  # noqa: F401  (in the process that is started)
    from gguf_model import write_gguf

    ways: dict[str, list[float]] = {}
    loaded = aligncap.load(arguments.checkpoint, device="cpu", dtype="float32", threads=arguments.threads)
    processor, model = loaded.processor, loaded.model
    text = "The speaker sounds calm and even, " * 15
    prompt = processor.tokenizer(text)["input_ids"][:100]
    response = processor.response_ids("The speaker sounds angry, with a high, lively voice, and speaks fast.")[:-1]
    response = (response * 4)[:48]

    with torch.inference_mode():
        ids = torch.tensor([prompt])
        hidden, _ = model.lean.read(model.language_model.model.embed_tokens(ids), torch.ones_like(ids))
        right = model.language_model.lm_head(hidden[0, -1]).numpy()
    pairs = json.loads(processor.tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in pairs]
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "given.json"
        given.write_text(json.dumps({"prompt": prompt, "response": response}))
        for name, quantised in (("llama.cpp, float32", False), ("llama.cpp, Q8_0", True)):
            path = Path(folder) / f"{quantised}.gguf"
            write_gguf(model.language_model, processor.tokenizer.get_vocab(), merges, path, quantised=quantised)
            out, here = Path(folder) / "scores.npy", Path(__file__).parent
            command = [sys.executable, str(here / "llama_cpp_speed.py"), str(path), str(given)]
            command += [str(arguments.threads), str(arguments.runs), str(out)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            rates = json.loads(done.stdout)
            scores = np.load(out)
            alike = np.corrcoef(scores, right)[0, 1]
            print(f"{name}: correlation with our scores {alike:.5f}, likeliest {scores.argmax() == right.argmax()}")
            ways[name], ways[f"{name}: reading the prompt"] = rates["write"], rates["read"]

    def forced(scores: Any, rows: Any, places: Any) -> Any:
        """Choose the given response, whatever the scores are; their maximum is looked for all the same."""
        scores.argmax(-1)
        return torch.tensor([response[place] for place in places])

    for dtype in ("float32", "int8"):
        loaded = aligncap.load(arguments.checkpoint, device="cpu", dtype=dtype, threads=arguments.threads)
        lean, table = loaded.model.lean, loaded.model.language_model.model.embed_tokens
        with torch.inference_mode():
            embeddings, mask = table(ids), torch.ones_like(ids)
            rates, reads = [], []
            for number in range(arguments.runs + 1):
                start = time.perf_counter()
                _, state = lean.read(embeddings[:, :-1], mask[:, :-1])
                middle = time.perf_counter()
                lean.generate(embeddings, mask, len(response), state, forced)
                end = time.perf_counter()
                if number:
                    rates.append(len(response) / (end - middle))
                    reads.append(len(prompt) / (middle - start))
        ways[f"AlignCap, {dtype}"], ways[f"AlignCap, {dtype}: reading the prompt"] = rates, reads
    for folder in arguments.exported:
        loaded = aligncap.load(str(folder), threads=arguments.threads)
        row = Row(loaded._language_model)
        embeddings = loaded._language_model.embed(prompt)
        rates, reads = [], []
        for number in range(arguments.runs + 1):
            start = time.perf_counter()
            first = Row.read_prompt(row, prompt, embeddings, 0)
            middle = time.perf_counter()

            def choose(scores: Any, places: Any) -> list[int]:
                scores.argmax(-1)
                return [response[place] for place in places]

            row.write(first, len(prompt), len(response), choose, None)
            end = time.perf_counter()
            if number:
                rates.append(len(response) / (end - middle))
                reads.append(len(prompt) / (middle - start))
        name = f"AlignCap, exported in {loaded.number_format}"
        ways[name], ways[f"{name}: reading the prompt"] = rates, reads
    return {"tokens/s": ways}


def encoders(arguments: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Seconds of the encoder for one clip of 5 s."""
    import ctranslate2
    from ctranslate2.converters.transformers import WhisperLoader
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    ours = aligncap.load(arguments.checkpoint, device="cpu", dtype="float32", threads=arguments.threads)
    clip = ours.processor.features([five_second_clips(1)[0]])
    padded = np.zeros((1, 80, 3000), np.float32)
    padded[..., : clip["features"].shape[-1]] = clip["features"].numpy()

    @torch.inference_mode()
    def hear() -> None:
        ours.model.speech_encoder(clip["features"], clip["feature_lengths"])

    ways: Ways = {"AlignCap, three layers, 5 s, float32": hear}
    with tempfile.TemporaryDirectory() as folder:
        for layers in (3, 6):
            config = WhisperConfig(
                d_model=512,
                encoder_layers=layers,
                encoder_attention_heads=8,
                encoder_ffn_dim=2048,
                decoder_layers=1,
                decoder_attention_heads=8,
            )
            model = WhisperForConditionalGeneration(config)  # its time does not depend on its weights
            for number_format in ("float32", "int8"):
                loader = WhisperLoader()
                spec = loader.get_model_spec(model)
                loader.set_config(spec.config, model, None)
                names = [
                    "<|endoftext|>",
                    "<|startoftranscript|>",
                    "<|translate|>",
                    "<|transcribe|>",
                    "<|notimestamps|>",
                ]
                spec.register_vocabulary(names + [f"t{i}" for i in range(config.vocab_size - len(names))])
                spec.validate()
                out = Path(folder) / f"{layers}-{number_format}"
                out.mkdir()
                spec.optimize(quantization=number_format)
                spec.save(str(out))
                whisper = ctranslate2.models.Whisper(
                    str(out), device="cpu", compute_type=number_format, intra_threads=arguments.threads
                )
                for name, given in (("30 s", padded), ("5 s", padded[..., :500])):
                    view = ctranslate2.StorageView.from_array(np.ascontiguousarray(given))
                    ways[f"CTranslate2, {layers} layers, {name}, {number_format}"] = lambda w=whisper, v=view: w.encode(
                        v, to_cpu=True
                    )
        return {"1 x 5 s": rounds(ways, arguments.runs)}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="embedded")
    parser.add_argument("--exported", type=Path, nargs="+", default=[], help="folders that `aligncap export` wrote")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--only", choices=["captions", "decoding", "encoders"], nargs="+")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    report: dict[str, Any] = {"machine": machine(), "threads": arguments.threads, "runs": arguments.runs}
    print(f"{machine()}, {arguments.threads} threads, {arguments.runs} rounds")
    for name, compare in (("captions", captions), ("decoding", decoding), ("encoders", encoders)):
        if arguments.only and name not in arguments.only:
            continue
        try:
            report[name] = compare(arguments)
        except ImportError as error:
            print(f"\n{name}: left out, for {error}")
            continue
        for title, ways in report[name].items():
            rate = "tokens/s" in title
            base = next(iter(ways.values()))
            print(f"\n| {name}, {title} | median | lowest to highest | times the first |\n|---|--:|--:|--:|")
            for way, values in ways.items():
                ratio = statistics.median(v / b if rate else b / v for v, b in zip(values, base, strict=True))
                unit, scale = (" tokens/s", 1) if rate else (" ms", 1000)
                low, middle, high = (scale * v for v in (min(values), statistics.median(values), max(values)))
                print(f"| {way} | {middle:.0f}{unit} | {low:.0f} to {high:.0f} | {ratio:.2f} |")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
