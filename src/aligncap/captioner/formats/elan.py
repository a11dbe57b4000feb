"""ELAN annotation files (.eaf): tiers with the captions, and with the likeliest emotions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from aligncap.captioner.formats.tiers import named, strongest, tiers
from aligncap.captioner.results import Result
from aligncap.errors import MissingExtraError

__all__ = ["elan"]


def elan(results: Sequence[Result]) -> str:
    """The captions of one recording as an ELAN document that refers to the recording by its name.

    Raises:
        MissingExtraError: pympi-ling is not installed.
    """
    try:
        from pympi.Elan import Eaf
    except ModuleNotFoundError as error:
        raise MissingExtraError("writing ELAN files", "annotations") from error
    eaf = Eaf(author="AlignCap")
    eaf.remove_tier("default")
    for recording in dict.fromkeys(item.audio for item in results):
        eaf.add_linked_file(recording, relpath=Path(recording).name, mimetype="audio/x-wav")
    for tier in tiers(results):
        for kind, text in (("caption", lambda item: item.caption), ("emotion", strongest)):
            name = named(kind, tier)
            eaf.add_tier(name, part=tier.name or None)
            for item in tier.captions:
                eaf.add_annotation(name, round(1000 * item.start), round(1000 * item.end), text(item))
    with TemporaryDirectory() as folder:  # the library writes to files only
        path = Path(folder, "document.eaf")
        eaf.to_file(str(path))
        return path.read_text(encoding="utf-8")
