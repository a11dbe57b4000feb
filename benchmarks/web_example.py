"""Checks ``examples/web``: its modules beside Python, and its page in headless Chromium as a person would use it.

    (cd examples/web && npm install)
    pip install playwright
    aligncap export -o FOLDER --int8
    python benchmarks/web_example.py FOLDER RECORDING... --chromium /usr/bin/chromium --shots FOLDER --axe axe.min.js

First, for each recording: log-mel spectrogram, measured clues (of it and of each second of it), emotions, clue
prompts and greedy captions, beside Python's with the same folder. WebAssembly multiplies 8-bit weights by inputs in
32-bit floats, Python by inputs in 8 bits, so captions are also compared with those of a copy whose graph says "in
floats"; there every caption must be the same. Then the page: a recording, one longer than the model's window, one
that is stopped, broken files, in light and dark colours and at the width of a phone; and a folder without a model.
Nothing may be written to the console or requested from elsewhere. Exits with 1 where something is wrong. The
screenshots are to be looked at.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

import aligncap
from aligncap.audio import RATE, read_audio
from aligncap.audio.level import level
from aligncap.audio.speed import at_speed
from aligncap.captioner.exported import Exported
from aligncap.captioner.exported.features import log_mel
from aligncap.captioner.results import Caption
from aligncap.captioner.sampling import Sampling
from aligncap.clues import measure

WEB = Path(__file__).resolve().parents[1] / "examples/web"
LOOKS = {"light": (1280, 900, "light"), "dark": (1280, 900, "dark"), "phone": (390, 844, "light")}
PATIENCE = 300_000  # milliseconds
SPEED = 0.92
FLAGS = "--disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
CLUES = ("f0_median_hz", "f0_spread_semitones", "level_range_db", "syllables_per_s", "pause_share")
NODE = """
import { readFileSync } from "node:fs";
import { atSpeed, level, RATE, windows } from "./sound.mjs";
import { logMel } from "./features.mjs";
import { readNpz } from "./npz.mjs";
import { measure } from "./clues.mjs";
import { readWav } from "./wav.mjs";
const bytes = (name) => { const b = readFileSync(name); return b.buffer.slice(b.byteOffset, b.byteOffset + b.length); };
const [folder, ...recordings] = process.argv.slice(1);
const { level_dbfs, window, hop } = JSON.parse(readFileSync(`${folder}/aligncap-onnx.json`));
const { filters } = readNpz(bytes(`${folder}/arrays.npz`));
for (const name of recordings) {
  const samples = readWav(bytes(name));
  const features = [...logMel(level(samples, level_dbfs), filters.data, window, hop)];
  const seconds = Array.from({ length: Math.floor(samples.length / RATE) }, (_, at) => at * RATE);
  const clues = [samples, ...seconds.map((at) => samples.subarray(at, at + RATE))].map(measure);
  const played = [...atSpeed(samples, Number(process.env.SPEED))];
  console.log(JSON.stringify({ features, clues, played }));
}
"""


def main() -> None:
    """Run the checks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="made by aligncap export")
    parser.add_argument("recordings", type=Path, nargs="+")
    parser.add_argument("--threads", type=int, default=1, help="of Node")
    parser.add_argument("--chromium", help="program; without it the page is not opened")
    parser.add_argument("--query", default="", help="after the page's address, such as ?threads=2")
    parser.add_argument("--shots", type=Path, help="folder for screenshots")
    parser.add_argument("--axe", type=Path, help="axe.min.js of the npm package axe-core")
    arguments = parser.parse_args()
    wrong = []
    with tempfile.TemporaryDirectory() as space:
        sounds = []
        for path in arguments.recordings:
            sounds.append(Path(space) / f"{path.stem}.wav")
            soundfile.write(sounds[-1], read_audio(path).samples, RATE, subtype="FLOAT")
        wrong += measurements(arguments.folder, sounds)
        wrong += captions(arguments.folder, sounds, arguments.threads, Path(space))
        if arguments.chromium:
            wrong += in_chromium(arguments, sounds)
    print("\n".join(["", *wrong]) if wrong else "nothing wrong")
    sys.exit(1 if wrong else 0)


def node(*arguments: Any) -> list[dict[str, Any]]:
    """What a Node program prints, a line of JSON each."""
    command = ["node", *map(str, arguments)]
    environment = {**os.environ, "SPEED": str(SPEED)}
    run = subprocess.run(command, cwd=WEB, env=environment, capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(f"node failed: {run.stderr}")
    print(run.stderr, end="")
    return [json.loads(line) for line in run.stdout.splitlines()]


def measurements(folder: Path, sounds: list[Path]) -> list[str]:
    """Features and clues beside Python's."""
    settings, filters = Exported.load(folder), np.load(folder / "arrays.npz")["filters"]
    apart, off, compared, resampled = 0.0, 0.0, 0, 0.0
    missing = []
    for path, found in zip(sounds, node("--input-type=module", "-e", NODE, folder.resolve(), *sounds), strict=True):
        samples = soundfile.read(path, dtype="float32")[0]
        features = log_mel(level(samples, settings.level_dbfs), filters, settings.window, settings.hop)
        other_features = np.array(found["features"], np.float32).reshape(features.shape)
        apart = max(apart, float(np.abs(other_features - features).max()))
        played, other_played = at_speed(samples, SPEED), np.array(found["played"], np.float32)
        shared = slice(400, min(len(played), len(other_played)) - 400)  # soxr fades at the ends
        rms = float(np.sqrt(np.mean(played**2)))
        resampled = max(resampled, float(np.abs(played[shared] - other_played[shared]).max()) / rms)
        for part, theirs in zip(_with_seconds(samples), found["clues"], strict=True):
            clues = measure(part, voice_quality=False)
            for name in CLUES:
                ours, other = getattr(clues, name), theirs.get(name, np.nan)
                if np.isnan(ours) != np.isnan(other):
                    missing.append(f"{path.stem}: {name} is {ours} in Python and {other} in Node")
                elif not np.isnan(ours):
                    compared += 1
                    off = max(off, abs(ours - other) / max(abs(ours), 1e-3))
    print(f"log-mel: at most {apart:.1e} apart; {compared} clues: at most {off:.1e} of their value apart")
    print(f"played at {SPEED}: at most {resampled:.1e} of the level apart")
    limits = (("log-mel", apart, 1e-3), ("clues", off, 1e-3), (f"samples played at {SPEED}", resampled, 0.1))
    return missing + [f"{what} too far apart" for what, found, most in limits if found >= most]


def _with_seconds(samples: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return [samples, *(samples[at : at + RATE] for at in range(0, len(samples) - RATE + 1, RATE))]


def captions(folder: Path, sounds: list[Path], threads: int, space: Path) -> list[str]:
    """Probabilities, clue prompts and captions beside Python's."""
    found = node("caption.mjs", folder.resolve(), *sounds, "--json", "--threads", threads)
    wrong = []
    for what, used in (("as exported", folder), ("in floats", in_floats(folder, space / "floats"))):
        captioner = aligncap.load(str(used))
        ours = captioner.caption(list(map(str, sounds)), sampling=Sampling(temperature=0), verify=False)
        same, apart = 0, 0.0
        for one, it in zip(ours, found, strict=True):
            assert isinstance(one, Caption)
            apart = max(apart, *(abs(one.emotions[label] - share) for label, share in it["emotions"].items()))
            same += one.caption == it["caption"]
            if one.clues != it["clues"]:
                wrong.append(f"clue prompts differ: {one.clues!r}, {it['clues']!r}")
            if what == "in floats" and one.caption != it["caption"]:
                wrong.append(f"captions differ: {one.caption!r}, {it['caption']!r}")
        if apart > 1e-3:
            wrong.append(f"probabilities are {apart} apart")
        print(f"{what}: {same} of {len(found)} captions the same; probabilities at most {apart:.1e} apart")
    took = sorted(it["took"] for it in found)
    print(f"a stretch took {took[0]:.1f} to {took[-1]:.1f} s in Node, {threads} thread(s)")
    return wrong


def in_floats(folder: Path, copy: Path) -> Path:
    """The same folder, whose products of integers take inputs in floats."""
    import onnx

    copy.mkdir()
    for path in folder.resolve().iterdir():
        if path.name == "language_model.onnx":
            graph = onnx.load(path, load_external_data=False)
            for attribute in (each for one in graph.graph.node for each in one.attribute):
                if attribute.name == "accuracy_level":
                    attribute.i = 1
            onnx.save(graph, copy / path.name)
        elif path.suffix == ".data":
            (copy / path.name).hardlink_to(path) if _one_disk(path, copy) else shutil.copy(path, copy)
        else:
            shutil.copy(path, copy)
    return copy


def _one_disk(path: Path, other: Path) -> bool:
    return path.stat().st_dev == other.stat().st_dev


def in_chromium(arguments: argparse.Namespace, sounds: list[Path]) -> list[str]:
    """The page, in each of its looks; then without a model."""
    from playwright.sync_api import sync_playwright

    if arguments.shots:
        arguments.shots.mkdir(parents=True, exist_ok=True)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as space, sync_playwright() as playwright:
        nothing = Path(space) / "nothing"
        nothing.mkdir()
        looks = [(name, name, arguments.folder) for name in LOOKS] + [("no-model", "light", nothing)]
        for place, (name, look, folder) in enumerate(looks):
            width, height, scheme = LOOKS[look]
            with served(folder) as address:
                browser = playwright.chromium.launch_persistent_context(
                    str(Path(space) / name),
                    executable_path=arguments.chromium,
                    args=["--no-sandbox", "--disable-sync", *FLAGS.split()],
                    viewport={"width": width, "height": height},
                    color_scheme=scheme,
                )
                page = browser.new_page()
                page.set_default_timeout(PATIENCE)
                found: list[str] = []
                listen(page, address, found)
                began = time.perf_counter()
                page.goto(address + arguments.query)
                for step in STEPS[name]:
                    found += step(page, sounds[place % len(sounds)])
                    if step is opened:
                        print(f"{name}: loaded in {time.perf_counter() - began:.1f} s")
                    if arguments.shots:
                        page.screenshot(path=arguments.shots / f"{name}-{step.__name__}.png", full_page=True)
                    if page.evaluate("document.documentElement.scrollWidth") > width:
                        found.append(f"{step.__name__}: the page is wider than the window")
                    if arguments.axe:
                        found += accessible(page, arguments.axe)
                if name == "no-model":  # the browser itself reports missing files
                    found = [each for each in found if "status of 404" not in each]
                print(f"{name}: {'; '.join(found) or 'nothing wrong'}", flush=True)
                wrong += found
                browser.close()
    return wrong


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of the page with a model."""
    command = [sys.executable, str(WEB / "serve.py"), "--port", "0", "--model", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def listen(page: Any, address: str, found: list[str]) -> None:
    """Note what the page should never do."""
    page.on("console", lambda message: found.append(f"console {message.type}: {message.text}"))
    page.on("pageerror", lambda error: found.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (found.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    local = (address, "data:", "blob:")
    page.on("request", lambda r: None if r.url.startswith(local) else found.append(f"request: {r.url}"))
    page.on("request", lambda r: found.append(f"sent: {r.method} {r.url}") if r.method not in ("GET", "HEAD") else None)


def opened(page: Any, recording: Path) -> list[str]:
    """The model is loaded; without a recording, the page says what to do."""
    page.locator("#status", has_text="The model is loaded").wait_for()
    page.get_by_role("button", name="Caption", exact=True).click()
    said = page.locator("#error").inner_text()
    return [] if "Choose a recording" in said else [f"without a recording it says {said!r}"]


def captioned(page: Any, recording: Path) -> list[str]:
    """Caption by keyboard alone."""
    page.get_by_label("Recording").set_input_files(recording)
    page.get_by_label("Recording").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#status", has_text="Done: 1 stretch").wait_for()
    caption = page.locator("#results .caption").all_inner_texts()
    print(f"  {recording.stem}: {caption} {page.locator('#results .took').first.inner_text()}")
    shares = [float(text.split()[0]) for text in page.locator("#results td:nth-child(2)").all_inner_texts()]
    found = [] if len(caption) == 1 and caption[0] else [f"captions: {caption}"]
    if not 99 < sum(shares) < 101:
        found.append(f"the probabilities are {shares}")
    if page.locator("#error").inner_text():
        found.append("the error from before is still there")
    if page.evaluate("document.activeElement.id") != "go":
        found.append("the focus is lost")
    return found


def long(page: Any, recording: Path) -> list[str]:
    """25 s in stereo at 44.1 kHz become three stretches, times and all."""
    page.set_input_files("#file", stereo(recording))
    page.get_by_role("button", name="Caption", exact=True).click()
    page.locator("#status", has_text="Done: 3 stretches").wait_for()
    times = page.locator("#results h2").all_inner_texts()
    wanted = [f"long.flac, {start} to {end} s" for start, end in (("0.0", "8.3"), ("8.3", "16.7"), ("16.7", "25.0"))]
    return [] if times == wanted else [f"the stretches are {times}"]


def stopped(page: Any, recording: Path) -> list[str]:
    """A long one is stopped half-way."""
    page.set_input_files("#file", stereo(recording))
    page.get_by_role("button", name="Caption", exact=True).click()
    page.locator("#results section").first.wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator("#status", has_text="Stopped: ").wait_for()
    count = page.locator("#results section").count()
    found = [] if count in (1, 2) else [f"{count} stretches were captioned before it stopped"]
    return found if page.evaluate("document.activeElement.id") == "go" else [*found, "the focus is lost"]


def stereo(recording: Path) -> dict[str, Any]:
    """A FLAC file of 25 s, 44.1 kHz, one channel silent."""
    import soxr

    samples = soundfile.read(recording, dtype="float32")[0]
    samples = soxr.resample(np.resize(samples, 25 * RATE), RATE, 44_100)
    file = io.BytesIO()
    soundfile.write(file, np.stack([samples, np.zeros_like(samples)], 1), 44_100, format="FLAC")
    return {"name": "long.flac", "mimeType": "audio/flac", "buffer": file.getvalue()}


def broken(page: Any, recording: Path) -> list[str]:
    """Files that are no recording, or none that can be captioned: said in words, to screen readers too."""
    found = []
    silence, blip = io.BytesIO(), io.BytesIO()
    soundfile.write(silence, np.zeros(RATE, np.float32), RATE, format="WAV")
    soundfile.write(blip, np.ones(100, np.float32), RATE, format="WAV")
    files = {
        "blip.wav": (blip.getvalue(), "6 ms long"),
        "silence.wav": (silence.getvalue(), "it is silent"),
        "empty.wav": (b"", "the file is empty"),
        "<b>broken</b>.wav": (b"no audio" * 99, "cannot decode it"),
    }
    for name, (content, wanted) in files.items():
        page.set_input_files("#file", {"name": name, "mimeType": "audio/wav", "buffer": content})
        page.get_by_role("button", name="Caption", exact=True).click()
        page.locator("#error[role=alert]", has_text=wanted).wait_for()
        if not page.locator("#error").inner_text().startswith(f"{name}: "):
            found.append(f"{name}: the message does not name it")
        if page.locator("#results section").count():
            found.append(f"{name}: results of another recording are still shown")
    if page.locator("#error b").count():
        found.append("a file's name became HTML")
    return found


def without(page: Any, recording: Path) -> list[str]:
    """Without a model the page says so, before and after a recording is chosen."""
    for _ in range(2):
        page.locator("#error", has_text="aligncap-onnx.json is missing").wait_for()
        page.set_input_files("#file", recording)
        page.get_by_role("button", name="Caption", exact=True).click()
    page.locator("#error", has_text="aligncap-onnx.json is missing").wait_for()
    return []


def accessible(page: Any, axe: Path) -> list[str]:
    """What axe-core finds."""
    page.evaluate(axe.read_text(encoding="utf-8"))
    violations = page.evaluate("axe.run()")["violations"]
    return [f"axe: {one['impact']}: {one['id']} ({one['nodes'][0]['html'][:100]})" for one in violations]


STEPS = {
    "light": (opened, captioned, long, stopped, broken),
    "dark": (opened, captioned, broken),
    "phone": (opened, captioned, broken),
    "no-model": (without,),
}

if __name__ == "__main__":
    main()
