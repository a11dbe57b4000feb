"""Make the example recordings: plain synthetic speech, given the prosody of an emotion by signal processing.

Flite reads a sentence in one of its voices. The WORLD vocoder takes that apart into F0, spectral envelope
and aperiodicity, which are changed as a recipe of ``STYLES`` says and put together again. Nothing is random
except the tremor and the roughness of F0, and these are seeded, so every run writes the same samples.

    python examples/make_examples.py            # write the recordings beside this file
    python examples/make_examples.py --check    # write nothing, compare with what is there

Needs ``flite`` (2.2) on PATH, and NumPy, soundfile and pyworld (which imports ``pkg_resources``, gone from
setuptools 81 on). Prints what it measured as a Markdown table.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

Array = NDArray[np.float64]

RATE = 16_000  # of Flite's voices and of what we write, Hz
FRAME = 0.005  # WORLD's frame period, s
EDGE = 0.15  # silence kept before and after the speech, s
SEED = 2024
VOWELS = {"aa", "ae", "ah", "ao", "aw", "ax", "ay", "eh", "er", "ey", "ih", "iy", "ow", "oy", "uh", "uw"}
VOICELESS = {"pau", "p", "t", "k", "ch", "f", "th", "s", "sh", "hh"}


@dataclass(frozen=True)
class Style:
    """A recipe: what is said, by which voice, and how it departs from the way Flite says it.

    Attributes:
        name: the intended emotion; the recording is called ``{name}_{voice}.flac``.
        voice: a voice of Flite: slt (female), rms, awb (Scottish), kal16 (male).
        text: the sentence. A comma is a pause.
        tempo: speed of articulation, pauses left out (1 = Flite's).
        pause: length of the pauses inside the sentence, s.
        level: RMS level of the speech, dBFS.
        dynamics: factor on the level contour, in dB, about its mean.
        f0_shift: F0, in semitones above or below the voice's own median.
        f0_range: factor on the F0 contour, in semitones, about that median.
        f0_slope: rise (fall if negative) of F0 over the whole sentence, semitones.
        f0_final: the same over the last 0.5 s only.
        tremor: depth of a 6 Hz wavering of F0, semitones.
        roughness: standard deviation of the F0 change from frame to frame, semitones.
        tilt: change of the spectral slope between 250 Hz and 4 kHz, dB per octave.
        breath: share of the power of voiced sound turned to noise, 0 to 1 (in full above 3 kHz, none at 0.5).
        formants: factor on all formant frequencies (spread lips > 1, rounded lips < 1).
    """

    name: str
    voice: str
    text: str
    tempo: float = 1.0
    pause: float = 0.2
    level: float = -28.0
    dynamics: float = 1.0
    f0_shift: float = 0.0
    f0_range: float = 1.0
    f0_slope: float = 0.0
    f0_final: float = 0.0
    tremor: float = 0.0
    roughness: float = 0.0
    tilt: float = 0.0
    breath: float = 0.0
    formants: float = 1.0

    @property
    def file(self) -> str:
        """Name of the recording's file."""
        return f"{self.name}_{self.voice}.flac"


STYLES = (
    Style(
        name="neutral",
        voice="rms",
        text="The library opens at nine, and the reading room is on the second floor.",
    ),
    Style(
        name="angry",
        voice="awb",
        text="The parcel came this morning, and I put it on the kitchen table.",
        tempo=1.2,
        pause=0.06,
        level=-23.0,
        dynamics=1.3,
        f0_shift=5.0,
        f0_range=1.7,
        f0_slope=1.5,
        roughness=0.25,
        tilt=2.5,
    ),
    Style(
        name="happy",
        voice="slt",
        text="My sister called this afternoon, and we talked about the garden.",
        tempo=1.12,
        pause=0.12,
        level=-26.0,
        dynamics=1.15,
        f0_shift=4.0,
        f0_range=3.5,
        f0_slope=2.0,
        f0_final=2.0,
        tilt=1.0,
        formants=1.04,
    ),
    Style(
        name="sad",
        voice="slt",
        text="The bus stops by the bridge, and then it goes on to the station.",
        tempo=0.72,
        pause=0.7,
        level=-36.0,
        dynamics=0.85,
        f0_shift=-3.0,
        f0_range=0.4,
        f0_slope=-2.0,
        tilt=-3.0,
        breath=0.6,
        formants=0.98,
    ),
    Style(
        name="afraid",
        voice="slt",
        text="There is a blue folder on the shelf, next to the printed lists.",
        tempo=1.25,
        pause=0.35,
        level=-32.0,
        dynamics=1.15,
        f0_shift=6.0,
        f0_range=0.5,
        f0_slope=1.5,
        tremor=0.9,
        roughness=0.15,
        tilt=-1.0,
        breath=0.4,
    ),
    Style(
        name="bored",
        voice="kal16",
        text="We measured the window twice, and wrote the numbers in the book.",
        tempo=0.78,
        pause=0.5,
        level=-32.0,
        dynamics=0.8,
        f0_shift=-1.5,
        f0_range=0.2,
        f0_slope=-1.0,
        tilt=-1.5,
    ),
    Style(
        name="surprised",
        voice="slt",
        text="They moved the meeting to Tuesday, and the tickets are in the drawer.",
        tempo=1.05,
        pause=0.2,
        level=-26.0,
        dynamics=1.2,
        f0_shift=7.0,
        f0_range=2.4,
        f0_final=10.0,
        tilt=1.0,
        breath=0.15,
    ),
    Style(
        name="calm",
        voice="rms",
        text="The boat leaves from the lower harbour, a little after seven.",
        tempo=0.85,
        pause=0.4,
        level=-33.0,
        dynamics=0.85,
        f0_shift=-1.5,
        f0_range=0.7,
        f0_slope=-1.0,
        tilt=-2.0,
        breath=0.4,
    ),
)


@dataclass(frozen=True)
class Phone:
    """A speech sound, or ``pau`` for a pause, and its times in seconds."""

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class Measures:
    """What was measured in a recording.

    Attributes:
        seconds: duration.
        level: RMS of the frames less than 30 dB below the loudest, dBFS.
        f0: median F0, Hz.
        f0_range: distance of the 10th and 90th percentile of F0, semitones.
        f0_end: median F0 of the last 0.2 s of voiced sound against that of the recording, semitones.
        alpha: energy in 1 to 5 kHz against that in 50 Hz to 1 kHz, dB.
        harmonics: harmonics-to-noise ratio of the voiced sound between 1 and 4 kHz, dB.
        rate: syllables per second, pauses left out (given, not measured).
    """

    seconds: float
    level: float
    f0: float
    f0_range: float
    f0_end: float
    alpha: float
    harmonics: float
    rate: float


def speak(text: str, voice: str) -> tuple[Array, list[Phone]]:
    """Let Flite read a sentence: samples at ``RATE`` and the phones with their times."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plain.wav"
        command = ["flite", "-voice", voice, "-psdur", "-t", text, "-o", str(path)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        samples, rate = soundfile.read(path, dtype="float64")
    if rate != RATE:
        raise ValueError(f"voice {voice} speaks at {rate} Hz, not at {RATE}: choose another")
    ends = [(name, float(end)) for name, end in re.findall(r"(\S+):([\d.]+)", printed)]
    starts = [0.0, *(end for _, end in ends)]
    return samples, [Phone(name, start, end) for start, (name, end) in zip(starts, ends, strict=False)]


def is_voiced(phones: list[Phone], times: Array) -> NDArray[np.bool_]:
    """Whether the phone spoken at each time is a voiced one."""
    index = np.searchsorted([phone.end for phone in phones], times, side="right")
    voiced = np.array([phone.name not in VOICELESS for phone in phones] + [False])
    return np.asarray(voiced[index])


def track_f0(samples: Array, phones: list[Phone], ceiling: float) -> tuple[Array, Array]:
    """F0 in Hz, 0 where unvoiced, and the times of its frames.

    WORLD's tracker alone also finds some F0 in pauses and fricatives; the phones rule that out.
    """
    import pyworld

    f0, times = pyworld.harvest(samples, RATE, f0_floor=60.0, f0_ceil=ceiling, frame_period=FRAME * 1000)
    return np.where(is_voiced(phones, times), f0, 0.0), times


def retime(phones: list[Phone], style: Style) -> tuple[Array, list[Phone]]:
    """Change tempo and pauses.

    Returns:
        For every output frame the time to read from, in seconds, and the phones at their new times.
    """
    new, end = [], 0.0
    for index, phone in enumerate(phones):
        length = (phone.end - phone.start) / style.tempo
        if phone.name == "pau":
            length = EDGE if index in (0, len(phones) - 1) else style.pause
        new.append(Phone(phone.name, end, end + length))
        end += length
    frames = np.arange(0.0, end, FRAME)
    knots = [0.0, *(phone.end for phone in new)]
    return np.interp(frames, knots, [0.0, *(phone.end for phone in phones)]), new


def shape_f0(f0: Array, phones: list[Phone], style: Style) -> Array:
    """Apply the F0 part of a recipe to a contour in Hz, 0 where unvoiced (one value per ``FRAME``)."""
    voiced = f0 > 0
    time = np.arange(len(f0)) * FRAME
    median = np.median(f0[voiced])
    semitones = 12 * np.log2(f0[voiced] / median)
    start, end = phones[0].end, phones[-1].start
    rng = np.random.default_rng(SEED)
    wander = np.cumsum(rng.normal(0.0, 0.15, len(f0)))  # keeps the tremor from sounding like a siren
    curve = style.f0_shift + style.f0_slope * ((time - start) / (end - start) - 0.5)
    curve += style.f0_final * np.clip((time - end + 0.5) / 0.5, 0.0, 1.0)
    curve += style.tremor * np.sin(2 * np.pi * 6.0 * time + wander)
    curve += style.roughness * rng.normal(0.0, 1.0, len(f0))
    shaped = np.zeros_like(f0)
    shaped[voiced] = median * 2 ** ((style.f0_range * semitones + curve[voiced]) / 12)
    return shaped


def shape_spectrum(power: Array, style: Style) -> Array:
    """Apply formants, tilt and dynamics to spectral envelopes (frames, bins), linear power."""
    hertz = np.linspace(0.0, RATE / 2, power.shape[1])
    decibels = 10 * np.log10(power)
    if style.formants != 1.0:
        decibels = np.stack([np.interp(hertz / style.formants, hertz, frame) for frame in decibels])
    decibels += style.tilt * np.log2(np.clip(hertz, 250.0, 4000.0) / 1000.0)
    level = 10 * np.log10((10 ** (decibels / 10)).mean(axis=1))
    level = np.convolve(np.pad(level, 10, mode="edge"), np.full(21, 1 / 21), mode="valid")
    speech = level > level.max() - 30
    gain = (style.dynamics - 1) * (level - level[speech].mean())
    return np.asarray(10 ** ((decibels + np.clip(gain, -6.0, 6.0)[:, None]) / 10))


def perform(samples: Array, phones: list[Phone], style: Style) -> tuple[Array, list[Phone]]:
    """Say it again in the style of a recipe.

    Args:
        samples: plain speech at ``RATE``.
        phones: its phones.
        style: the recipe.

    Returns:
        The new samples in -1 to 1 and the phones at their new times.

    Raises:
        ValueError: at the level that the recipe asks for, the samples would clip.
    """
    import pyworld

    f0, times = track_f0(samples, phones, ceiling=300.0)
    power = pyworld.cheaptrick(samples, f0, times, RATE)
    noise = pyworld.d4c(samples, f0, times, RATE)

    source, new = retime(phones, style)
    position = np.clip(source / FRAME, 0.0, len(f0) - 1.001)
    left = position.astype(int)
    weight = (position - left)[:, None]
    nearest = np.rint(position).astype(int)
    contour = np.interp(np.arange(len(f0)), np.flatnonzero(f0), f0[f0 > 0])  # across unvoiced frames too
    around = np.lib.stride_tricks.sliding_window_view(np.pad(contour, 5, mode="edge"), 11)
    smooth = np.interp(position, np.arange(len(f0)), np.median(around, axis=1))  # no spikes to exaggerate
    new_f0 = shape_f0(np.where(f0[nearest] > 0, smooth, 0.0), new, style)
    new_power = shape_spectrum(power[left] ** (1 - weight) * power[left + 1] ** weight, style)
    new_noise = noise[left] * (1 - weight) + noise[left + 1] * weight
    hertz = np.linspace(0.0, RATE / 2, power.shape[1])
    breath = style.breath * np.interp(hertz, [500.0, 3000.0], [0.0, 1.0])
    new_noise = np.sqrt(1 - (1 - new_noise**2) * (1 - breath))  # WORLD's aperiodicity is of amplitude

    result = pyworld.synthesize(new_f0, new_power, np.ascontiguousarray(new_noise), RATE, FRAME * 1000)
    result *= 10 ** ((style.level - speech_level(result)) / 20)
    peak = np.abs(result).max()
    if peak >= 1.0:
        raise ValueError(f"{style.file}: the peak is {20 * np.log10(peak):+.1f} dBFS: lower its level")
    return result, new


def frame_levels(samples: Array) -> Array:
    """RMS in dBFS of the successive frames of 20 ms."""
    size = RATE // 50
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    return np.asarray(10 * np.log10((frames**2).mean(axis=1) + 1e-12))


def speech_level(samples: Array) -> float:
    """RMS in dBFS of the frames less than 30 dB below the loudest."""
    levels = frame_levels(samples)
    speech = levels[levels > levels.max() - 30]
    return float(10 * np.log10((10 ** (speech / 10)).mean()))


def harmonics_to_noise(samples: Array, f0: Array, times: Array) -> float:
    """Harmonics-to-noise ratio between 1 and 4 kHz in dB, median of frames, by autocorrelation."""
    spectrum = np.fft.rfft(samples)
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    band = np.fft.irfft(spectrum * ((hertz > 1000) & (hertz < 4000)), len(samples))
    ratios = []
    for pitch, time in zip(f0, times, strict=True):
        start, size = int((time - 0.015) * RATE), int(0.03 * RATE)
        lags = range(int(RATE / pitch * 0.97), int(RATE / pitch * 1.03) + 2)
        if start < 0 or start + size + lags[-1] > len(samples):
            continue
        here = band[start : start + size]
        shifted = [band[start + lag : start + lag + size] for lag in lags]
        best = max(here @ other / np.sqrt((here @ here) * (other @ other)) for other in shifted)
        ratios.append(np.clip(best, 0.01, 0.999))
    middle = float(np.median(ratios))
    return 10 * float(np.log10(middle / (1 - middle)))


def measure(samples: Array, phones: list[Phone]) -> Measures:
    """Measure a recording; its phones tell where it is voiced, and the rate."""
    f0, times = track_f0(samples, phones, ceiling=700.0)
    levels = frame_levels(samples)
    level = levels[np.minimum((times / 0.02).astype(int), len(levels) - 1)]
    voiced = (f0 > 0) & (level > levels.max() - 25)
    pitch = 12 * np.log2(f0[voiced])
    low, median, high = np.percentile(pitch, [10, 50, 90])
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    energy = [spectrum[(hertz >= a) & (hertz < b)].sum() for a, b in ((50, 1000), (1000, 5000))]
    spoken = [phone for phone in phones if phone.name != "pau"]
    return Measures(
        seconds=len(samples) / RATE,
        level=speech_level(samples),
        f0=2 ** (median / 12),
        f0_range=high - low,
        f0_end=float(np.median(pitch[-40:])) - median,
        alpha=10 * np.log10(energy[1] / energy[0]),
        harmonics=harmonics_to_noise(samples, f0[voiced], times[voiced]),
        rate=sum(phone.name in VOWELS for phone in spoken) / sum(p.end - p.start for p in spoken),
    )


HEADER = (
    "| file | length (s) | level (dBFS) | F0 median (Hz) | F0 range (semitones) | F0 at the end (semitones) "
    "| above against below 1 kHz (dB) | harmonics/noise (dB) | syllables/s |\n"
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
)


def row(style: Style, made: Measures, plain: Measures) -> str:
    """A line of the table: each value, and in brackets that of Flite's plain reading."""
    cells = [
        f"`{style.file}`",
        f"{made.seconds:.1f} ({plain.seconds:.1f})",
        f"{made.level:.0f}",
        f"{made.f0:.0f} ({plain.f0:.0f})",
        f"{made.f0_range:.1f} ({plain.f0_range:.1f})",
        f"{made.f0_end:+.1f} ({plain.f0_end:+.1f})",
        f"{made.alpha:.0f} ({plain.alpha:.0f})",
        f"{round(made.harmonics)} ({round(plain.harmonics)})",
        f"{made.rate:.1f} ({plain.rate:.1f})",
    ]
    return f"| {' | '.join(cells)} |"


def main(arguments: list[str] | None = None) -> int:
    """Write or check all recordings; 0, or 1 if a check found a difference."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(
        description="Make the example recordings.", epilog="Needs flite on PATH, and pyworld."
    )
    parser.add_argument("--output", type=Path, default=here, metavar="DIR", help="where to (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="write nothing, compare with the files in DIR")
    options = parser.parse_args(arguments)
    if shutil.which("flite") is None:
        parser.error("flite is not on PATH: install it (Debian and Ubuntu: apt install flite)")

    if importlib.util.find_spec("pyworld") is None:
        parser.error("pyworld is not installed: pip install pyworld 'setuptools<81'")

    print(HEADER)
    different = 0
    for style in STYLES:
        plain, phones = speak(style.text, style.voice)
        made, new_phones = perform(plain, phones, style)
        pcm = np.rint(made * 32767).astype(np.int16)
        path = options.output / style.file
        if not options.check:
            options.output.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, pcm, RATE, subtype="PCM_16")
        elif not path.exists() or not np.array_equal(soundfile.read(path, dtype="int16")[0], pcm):
            different += 1
            print(f"{path}: missing, or not what this script makes", file=sys.stderr)
        print(row(style, measure(pcm / 32768, new_phones), measure(plain, phones)))
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
