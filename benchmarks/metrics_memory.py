"""Memory of the caption metrics over the number of captions.

    python benchmarks/metrics_memory.py --brace DATA/labels/brace --markdown FILE

Captions and references are those of BRACE's main parts (see benchmarks/brace.py), five references each, drawn over and
over. The figures are the largest sum of what Python had allocated at once (tracemalloc), without the texts themselves;
they do not depend on the machine's load.
"""

from __future__ import annotations

import argparse
import platform
import tracemalloc
from datetime import date
from pathlib import Path

from brace import read

from aligncap.metrics import score_captions


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brace", type=Path, required=True, help="folder of BRACE's JSON files")
    parser.add_argument("--captions", type=int, nargs="+", default=[1000, 2000, 4000, 8000])
    parser.add_argument("--markdown", type=Path, help="also write the table here")
    arguments = parser.parse_args()
    pairs = [pair for pair in read(arguments.brace)[0] if pair.kind != "hallucination"]
    captions = [text for pair in pairs for text in (pair.first, pair.second)]
    references = [text for pair in pairs for text in pair.references]
    lines = [
        f"{date.today().isoformat()}, Python {platform.python_version()}; `score_captions`, five references each.",
        "",
        "| captions | peak, MB | KB a caption |",
        "|--:|--:|--:|",
    ]
    for count in arguments.captions:
        peak = peak_bytes(
            [captions[i % len(captions)] for i in range(count)],
            [[references[(5 * i + k) % len(references)] for k in range(5)] for i in range(count)],
        )
        lines.append(f"| {count} | {peak / 1e6:.1f} | {peak / count / 1e3:.1f} |")
        print(lines[-1], flush=True)
    text = "\n".join(lines)
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text + "\n", encoding="utf-8")


def peak_bytes(captions: list[str], references: list[list[str]]) -> int:
    """The most that was allocated at once while they were scored."""
    score_captions(captions[:10], references[:10])  # what is loaded once
    tracemalloc.start()
    score_captions(captions, references)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


if __name__ == "__main__":
    main()
