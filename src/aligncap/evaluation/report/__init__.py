"""The report: one HTML file with all data inside, which loads nothing from anywhere."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

from aligncap.evaluation.report.recordings import embedded_audio
from aligncap.evaluation.tables import GROUPS

__all__ = ["render", "worst_first"]

_SCRIPTS = ("core.js", "charts.js", "curves.js", "scores.js", "contours.js", "examples.js")
_MOST = 5000


def render(
    data: Mapping[str, Any],
    *,
    folder: Path | None = None,
    audio_bytes: int = 0,
    contours: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    most_captions: int = _MOST,
) -> str:
    """The report as HTML.

    Captions, names and reasons are put into the page as text by its script, never as HTML, and a content security
    policy forbids anything but that script.

    Args:
        data: of `aligncap.evaluation.scores.evaluate`.
        folder: of the manifest: recordings are read there and put into the file. None: no audio.
        audio_bytes: of recordings at most, those of the worst captions first.
        contours: clip → `aligncap.evaluation.voices.contour`, drawn beside its captions.
        most_captions: captions that the file shows; of more, half are the worst, the others are spread over the rest.
    """
    order = worst_first(data)
    chosen = sorted(_chosen(order, most_captions))
    place = {index: new for new, index in enumerate(chosen)}
    captions = [data["captions"][index] for index in chosen]
    ranked = [place[index] for index in order if index in place]
    audio = embedded_audio([captions[index] for index in ranked], folder, audio_bytes) if folder else {}
    page = {**data, "captions": captions, "order": ranked, "audio": audio, "groups": list(GROUPS.items())}
    page |= {"clips": len(data["captions"]), "embedded": len(captions)}
    page["contours"] = {one["id"]: contours[one["id"]] for one in captions if one["id"] in contours}
    script = "\n".join(_read(name) for name in _SCRIPTS)
    parts = {
        "STYLE": _read("style.css").rstrip(),
        "SCRIPT": script,
        "SCRIPT_HASH": _hash(f"\n{script}\n"),
        "DATA": _as_script(page),
    }
    text = _read("template.html")
    pieces = []
    for name in ("SCRIPT_HASH", "STYLE", "DATA", "SCRIPT"):  # in their order in the template; data may hold anything
        before, _, text = text.partition(f"@@{name}@@")
        pieces += [before, parts[name]]
    return "".join([*pieces, text])


def worst_first(data: Mapping[str, Any]) -> list[int]:
    """Indices of ``data["captions"]``, the worst first.

    A clip's badness is the mean over its systems of: 1 where the strongest emotion is wrong, the weight of the heaviest
    finding, 1 less ROUGE-L, and the probability of the likeliest label where that is wrong. What is not known counts
    nothing.
    """

    def badness(record: Mapping[str, Any]) -> float:
        said = list(record.get("systems", {}).values())
        return sum(_badness(one, record.get("emotion")) for one in said) / len(said) if said else 0.0

    captions = data["captions"]
    return sorted(range(len(captions)), key=lambda index: (-badness(captions[index]), index))


def _badness(said: Mapping[str, Any], emotion: str | None) -> float:
    scores, likeliest = said.get("scores", {}), said.get("labels", {}).get("likelihood")
    heaviest = max((finding["weight"] for finding in said.get("findings", ())), default=0.0)
    sure = said.get("confidence", 0.0) if likeliest not in (None, emotion) else 0.0
    return float(1 - scores.get("hit_rate", 1.0) + heaviest + 1 - scores.get("rouge_l", 1.0) + sure)


def _chosen(order: list[int], most: int) -> list[int]:
    if len(order) <= most:
        return order
    worst, rest = order[: most // 2], order[most // 2 :]
    wanted = most - len(worst)
    return worst + [rest[index * len(rest) // wanted] for index in range(wanted)]


def _as_script(value: Any) -> str:
    """JSON that no HTML parser sees anything in."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _read(name: str) -> str:
    return files("aligncap.evaluation.report").joinpath(name).read_text(encoding="utf-8")
