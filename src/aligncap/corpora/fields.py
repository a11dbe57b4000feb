"""Turns a record, as some file has it, into a `Row`; and a `Row` into a record."""

from __future__ import annotations

import datetime
import json
import math
import numbers
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from aligncap.corpora.problems import Fault, ManifestError, shown
from aligncap.corpora.row import Row

__all__ = [
    "COLUMNS",
    "GENDERS",
    "INTENSITIES",
    "SPLITS",
    "column_hint",
    "parse_record",
    "raw_column",
    "spelled",
    "to_record",
]

COLUMNS = tuple(item.name for item in fields(Row) if item.name != "extra")
"""The columns of the schema, in the order in which they are written."""

GENDERS = ("female", "male")
INTENSITIES = ("mild", "normal", "strong")
SPLITS = ("train", "dev", "test", "zero_shot")

_TEXTS = ("id", "corpus", "language", "speaker", "emotion", "label", "transcript", "licence")
_WORDS = {"gender": GENDERS, "intensity": INTENSITIES, "split": SPLITS}
_SPELLINGS = {  # what other corpora and tools write
    "gender": {"f": "female", "woman": "female", "w": "female", "m": "male", "man": "male"},
    "intensity": {
        "weak": "mild",
        "low": "mild",
        "lo": "mild",
        "medium": "normal",
        "md": "normal",
        "high": "strong",
        "hi": "strong",
    },
    "split": {
        **{"training": "train", "val": "dev", "valid": "dev", "validation": "dev", "development": "dev"},
        **{"testing": "test", "eval": "test", "evaluation": "test", "zero-shot": "zero_shot", "zeroshot": "zero_shot"},
    },
}
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_TOLERANCE = 0.01  # rounding of votes, as shares that sum to 1
_MIN_SECONDS = 0.1  # as aligncap.audio, which is not imported here: it needs NumPy


class _BadValueError(Exception):
    """A value that makes the row unusable: kind of problem and message."""


def parse_record(record: Mapping[str, Any]) -> tuple[Row | None, list[Fault]]:
    """Read a record.

    Numbers and JSON may be given as text, as CSV has them; null, NaN and empty text are what is not known.

    Returns:
        the row (None where the record cannot be one) and what is wrong: with a row, it is what was repaired in it.
    """
    faults: list[Fault] = []
    try:
        faults += _check_texts(record)
        values: dict[str, Any] = {name: _text(name, record.get(name)) for name in _TEXTS}
        values["audio"] = _audio(record.get("audio"), faults)
        values["id"] = values["id"] or _default_id(values["audio"], record.get("start"), faults)
        values |= {name: _seconds(name, record.get(name)) for name in ("start", "end")}
        _check_times(values["start"], values["end"])
        extra = {name: value for name, value in record.items() if name not in COLUMNS and not _missing(value)}
        values |= {name: _word(name, record.get(name), extra, faults) for name in _WORDS}
        values["votes"] = _votes(record.get("votes"), extra, faults)
        values["captions"] = _captions(record.get("captions"), faults)
        values["clues"] = _mapping("clues", record.get("clues"))
        values["extra"] = _extra(extra, faults)
    except _BadValueError as error:
        return None, [*faults, Fault(*error.args)]
    language = values["language"]
    if language and not _LANGUAGE.fullmatch(language):
        faults.append(Fault("odd language", f"'{shown(language)}' is no BCP 47 tag, such as en or en-IN", language))
    return Row(**values), faults


def to_record(row: Row) -> dict[str, Any]:
    """The JSON record of a row, without what is not known.

    Raises:
        ManifestError: it holds what JSON does not have.
    """
    try:
        columns = {name: _json(name, getattr(row, name)) for name in COLUMNS}
        record = columns | {name: _json(name, value) for name, value in row.extra.items() if name not in columns}
    except _BadValueError as error:
        raise ManifestError(f"{shown(row.id)}: {error.args[1]}") from None
    return {name: value for name, value in record.items() if value not in ("", None, [], {})}


def raw_column(name: str) -> str:
    """Where a value goes that the column `name` may not hold."""
    return f"{name}_raw"


def spelled(name: str, text: str) -> str:
    """The word of the schema for a gender, intensity or split that was written otherwise; others unchanged."""
    word = _SPELLINGS[name].get(text.lower(), text.lower())
    return word if word in _WORDS[name] else text


def column_hint(name: str) -> str:
    """What a column that is not of the schema may have been meant to be, as the end of a message."""
    close = get_close_matches(name.lower(), COLUMNS, n=1, cutoff=0.75)
    return f" (is it {close[0]!r}? then --column {close[0]}={name})" if close else ""


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value)) or (isinstance(value, str) and not value)


def _check_texts(record: Mapping[str, Any]) -> list[Fault]:
    damaged: list[Fault] = []
    written = repr(record)  # one call tells most records to be fine
    if not any(mark in written for mark in ("\\x00", "\\ud", "\N{REPLACEMENT CHARACTER}")):
        return damaged
    for text in _texts(record):
        if "\0" in text:
            raise _BadValueError("NUL byte", f"in '{shown(text)}'")
        marks = [ord(char) for char in text if "\ud800" <= char <= "\udfff"]
        if marks and 0xDC80 <= marks[0] <= 0xDCFF:
            hint = "if the file is not in UTF-8, say so: --encoding latin-1"
            raise _BadValueError("encoding", f"byte 0x{marks[0] - 0xDC00:02X} cannot be decoded; {hint}")
        if marks:
            raise _BadValueError("encoding", f"'{shown(text)}' holds half a character (a lone surrogate)")
        if "\N{REPLACEMENT CHARACTER}" in text and not damaged:
            damaged.append(Fault("damaged text", f"'{shown(text)}' was once read in a wrong encoding"))
    return damaged


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.items():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if _missing(value):
        return ""
    number = None if isinstance(value, bool) else _number(value)
    if number is not None and number.is_integer():
        return str(value if isinstance(value, numbers.Integral) else int(number))  # some corpora number their speakers
    raise _BadValueError("wrong type", f"{name} must be text, not {shown(value)}")


def _audio(value: Any, faults: list[Fault]) -> str:
    if isinstance(value, Mapping):  # as `datasets` writes it
        value = value.get("path")
    if _missing(value) or (isinstance(value, str) and not value.strip()):
        raise _BadValueError("missing value", "audio is not given")
    if not isinstance(value, str):
        raise _BadValueError("wrong type", f"audio must be a path, not {shown(value)}")
    if "\\" not in value:
        return value
    faults.append(Fault("path", f"'{shown(value)}' is written with backslashes"))
    return value.replace("\\", "/")


def _default_id(audio: str, start: Any, faults: list[Fault]) -> str:
    name = posixpath.splitext(audio)[0] + ("" if _missing(start) else f"#{start}")
    faults.append(Fault("no id", f"'{shown(name)}' is taken"))
    return name


def _number(value: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, float | int | str | numbers.Real):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _seconds(name: str, value: Any) -> float | None:
    if _missing(value) or (isinstance(value, str) and not value.strip()):
        return None
    number = _number(value)
    if number is None:
        raise _BadValueError("wrong type", f"{name} must be a number of seconds, not {shown(value)}")
    return number


def _check_times(start: float | None, end: float | None) -> None:
    if (start or 0.0) < 0:
        raise _BadValueError("bad times", f"start is {start:g} s, before the recording")
    if end is not None and end < (start or 0.0) + _MIN_SECONDS - 1e-9:
        raise _BadValueError("bad times", f"from {start or 0.0:g} s to {end:g} s is less than {_MIN_SECONDS:g} s")


def _word(name: str, value: Any, extra: dict[str, Any], faults: list[Fault]) -> str:
    text = _text(name, value)
    word = spelled(name, text)
    if not text or word == text in _WORDS[name]:
        return text
    if word in _WORDS[name]:
        faults.append(Fault("spelling", f"{name} '{shown(text)}' is taken as {word!r}"))
        return word
    kind = "unknown split" if name == "split" else "unknown value"
    faults.append(Fault(kind, f"{name} '{shown(text)}' is none of {', '.join(_WORDS[name])}", f"{name} {text}"))
    extra[raw_column(name)] = text
    return ""


def _extra(extra: Mapping[str, Any], faults: list[Fault]) -> dict[str, Any]:
    found = {}
    for name, value in extra.items():
        try:
            found[name] = _json(name, value)
        except _BadValueError as error:
            faults.append(Fault("unwritable value", error.args[1]))
    return found


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise _BadValueError("wrong type", f"{name} must be a JSON object, not '{shown(value)}'") from None
    if _missing(value) or (isinstance(value, str) and not value.strip()):
        return {}
    if isinstance(value, list) and all(isinstance(item, tuple) and len(item) == 2 for item in value):
        value = dict(value)  # a map, as Parquet has it
    if not isinstance(value, dict | Mapping):
        raise _BadValueError("wrong type", f"{name} must be a JSON object, not {shown(value)}")
    return {str(key): _json(name, item) for key, item in value.items()}


def _votes(value: Any, extra: dict[str, Any], faults: list[Fault]) -> dict[str, float]:
    votes = {emotion.strip(): share for emotion, share in _mapping("votes", value).items() if share is not None}
    shares = {emotion: _number(share) for emotion, share in votes.items()}
    good = {emotion: share for emotion, share in shares.items() if share is not None and 0 <= share <= 1}
    if len(good) == len(votes) and sum(good.values()) <= 1 + _TOLERANCE:
        return good
    faults.append(Fault("bad votes", f"shares must lie in [0, 1] and sum to at most 1, not {shown(json.dumps(votes))}"))
    extra[raw_column("votes")] = votes
    return {}


def _captions(value: Any, faults: list[Fault]) -> tuple[str, ...]:
    if isinstance(value, str) and value.lstrip().startswith(('["', "[]")):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise _BadValueError("wrong type", f"captions must be a JSON list, not '{shown(value)}'") from None
    if _missing(value):
        return ()
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) or item is None for item in items):
        raise _BadValueError("wrong type", f"captions must be a list of texts, not {shown(value)}")
    captions = tuple(item.strip() for item in items if item and item.strip())
    if len(captions) < len(items):
        faults.append(Fault("empty caption", f"{len(items) - len(captions)} of {len(items)}"))
    return captions


def _json(name: str, value: Any) -> Any:
    """A value as JSON has it; NaN and infinity are null there."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, list | tuple):
        return [_json(name, item) for item in value]
    if isinstance(value, dict | Mapping):  # dict alone is quicker to ask for; so below
        return {str(key): _json(name, item) for key, item in value.items()}
    if isinstance(value, float | numbers.Real):
        return int(value) if isinstance(value, numbers.Integral) else float(value) if math.isfinite(value) else None
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    raise _BadValueError("wrong type", f"{shown(name)} holds {type(value).__name__}, which JSON does not have")
