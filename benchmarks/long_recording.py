"""Memory and time for cutting a long recording into stretches, without captioning them.

    python benchmarks/long_recording.py --hours 3 examples/afraid_slt.flac

Repeats a recording of speech, with pauses, into a WAV file of the given length in a temporary folder (48 kHz stereo,
so that mixing and resampling are part of it), cuts it as ``aligncap caption`` does, and prints one line of JSON:
stretches, seconds of silence, seconds taken, and the most memory that the process ever held (``peak_mib``; before
reading: ``begin_mib``).
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import soundfile

from aligncap.audio import RATE, read_audio
from aligncap.captioner.clips import Clip
from aligncap.captioner.cutting import Segmentation, cut_recordings
from aligncap.captioner.results import Silence


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path, help="a recording of speech")
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--segmentation", choices=("auto", "fixed"), default="auto")
    options = parser.parse_args()
    speech = np.concatenate([read_audio(options.speech).samples, np.zeros(2 * RATE, np.float32)])
    block = np.repeat(np.repeat(speech, 3)[:, None], 2, axis=1)  # not a good resampler, but it sounds alike
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "long.wav")
        with soundfile.SoundFile(path, "w", 3 * RATE, 2) as file:
            for _ in range(round(options.hours * 3600 * RATE / len(speech))):
                file.write(block)
        begin, start = peak_mib(), time.monotonic()
        stretches = 0
        silence = reached = 0.0
        for item in cut_recordings([path], Segmentation(options.segmentation)):
            stretches += isinstance(item, Clip)
            if isinstance(item, Silence):
                silence += item.end - item.start
                reached = item.end
            elif isinstance(item, Clip):
                reached = item.segment.end
    print(
        json.dumps(
            {
                "date": date.today().isoformat(),
                "machine": platform.processor() or platform.machine(),
                "hours": round(reached / 3600, 3),
                "stretches": stretches,
                "silence_s": round(silence),
                "seconds": round(time.monotonic() - start, 1),
                "begin_mib": round(begin),
                "peak_mib": round(peak_mib()),
            }
        )
    )


if __name__ == "__main__":
    main()
