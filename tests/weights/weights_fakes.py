"""A package index and a Hub on the loopback, fake wheels, and a catalog of them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import subprocess
import sys
import threading
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

import aligncap
from aligncap.weights import Store
from aligncap.weights.catalog import load_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

PART_1, PART_2 = (random.Random(seed).randbytes(150_000) for seed in (1, 2))
MODEL = PART_1 + PART_2
PART_1_WHEEL, PART_2_WHEEL, PLAIN_WHEEL = (
    f"{package}-1.0-py3-none-any.whl" for package in ("toy_part1", "toy_part2", "plain_files")
)
CONVERTED = b"converted:" + MODEL
PLAIN = {"model.safetensors": b"tensors " * 500, "1_Pooling/config.json": b"{}"}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel_bytes(package: str, members: dict[str, bytes]) -> bytes:
    """Build a wheel that pip accepts, the same bytes each time."""
    info = f"{package}-1.0.dist-info"
    files = {
        **members,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


@dataclass
class Server:
    """Serves wheels as an index and files as a Hub; counts downloads, and can stall in the middle."""

    url: str = ""
    wheels: dict[str, bytes] = field(default_factory=dict)
    hub: dict[str, bytes] = field(default_factory=dict)
    downloads: Counter[str] = field(default_factory=Counter)
    stall: str = ""
    stalled: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    def body(self, path: str) -> tuple[bytes | None, dict[str, str]]:
        kind, _, rest = path.strip("/").partition("/")
        name = rest.rpartition("/")[2]
        if kind == "simple":
            found = [w for w in self.wheels if w.split("-")[0].replace("_", "-") == rest.strip("/")]
            page = "".join(f'<a href="/files/{w}">{w}</a>' for w in found)
            return (page.encode() if found else None), {"Content-Type": "text/html"}
        if kind == "files":
            return self.wheels.get(name), {"Content-Type": "application/octet-stream"}
        data = self.hub.get(path.partition("/resolve/main/")[2])
        # The library logs such a header once a topic.
        warning = f"{self.url}; you should log in"
        return data, {"ETag": f'"{sha256(data or b"")}"', "X-Repo-Commit": "c" * 40, "X-HF-Warning": warning}


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Run the server for as long as the block runs."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            data, headers = state.body(self.path)
            self.send_response(200 if data is not None else 404)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            if self.command == "HEAD" or data is None:
                return
            name = self.path.rpartition("/")[2]
            if name:
                state.downloads[name] += 1
            if name and name == state.stall:
                self.wfile.write(data[: len(data) // 2])
                self.wfile.flush()
                state.stalled.set()
                state.release.wait(30)
                data = data[len(data) // 2 :]
            with contextlib.suppress(ConnectionError):
                self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    state.url = f"http://127.0.0.1:{http.server_port}"
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield state
    finally:
        state.release.set()
        http.shutdown()
        http.server_close()


def catalog_data() -> dict[str, Any]:
    """The test catalog as it stands in YAML: ``toy`` (two wheels, converted) and ``plain`` (as it is)."""
    return {
        "presets": {"embedded": ["toy"]},
        "entries": {
            "toy": {
                "role": "speech encoder",
                "description": "A toy.",
                "licence": "MIT",
                "homepage": "https://example.org/toy",
                "convert": {"kind": "toy", "version": 1},
                "files": [{"name": "model.bin", "sha256": sha256(MODEL), "size": len(MODEL)}],
                "hub": {"repo": "acme/toy", "revision": "main"},
                "wheels": [
                    {
                        "requirement": f"toy-part{n}==1.0",
                        "sha256": sha256(wheel),
                        "size": len(wheel),
                        "members": {"model.bin": f"toy_part{n}/data.part"},
                    }
                    for n, wheel in enumerate(WHEELS.values(), 1)
                    if n < 3
                ],
            },
            "plain": {
                "hub": {"repo": "acme/plain", "revision": "main"},
                "role": "sentence similarity",
                "description": "Files as they are.",
                "licence": "Apache-2.0",
                "homepage": "https://example.org/plain",
                "files": [{"name": n, "sha256": sha256(d), "size": len(d)} for n, d in PLAIN.items()],
                "wheels": [
                    {
                        "requirement": "plain-files==1.0",
                        "sha256": sha256(WHEELS[PLAIN_WHEEL]),
                        "size": 1000,
                        "members": {name: f"plain_files/{name}" for name in PLAIN},
                    }
                ],
            },
        },
    }


WHEELS = {
    PART_1_WHEEL: wheel_bytes("toy_part1", {"toy_part1/data.part": PART_1}),
    PART_2_WHEEL: wheel_bytes("toy_part2", {"toy_part2/data.part": PART_2}),
    PLAIN_WHEEL: wheel_bytes("plain_files", {f"plain_files/{name}": data for name, data in PLAIN.items()}),
}


def convert(kind: str, raw: Path, out_dir: Path) -> None:
    """Stand in for the converters."""
    assert kind == "toy"
    (out_dir / "model.safetensors").write_bytes(b"converted:" + raw.read_bytes())
    (out_dir / "config.json").write_text("{}")


def isolated_environment(server: Server) -> dict[str, str]:
    """Environment in which pip sees the fake index alone and the Hub is off."""
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(("PIP_", "HF_", "TRANSFORMERS_"))}
    return {
        **kept,
        "HF_HUB_OFFLINE": "1",
        "NO_PROXY": "127.0.0.1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_INDEX_URL": f"{server.url}/simple/",
        "PIP_RETRIES": "0",
        "PYTHONPATH": str(Path(aligncap.__file__).parents[1]),
    }


@dataclass
class Shop:
    """A store on an empty cache, its sources, and ways to change the catalog or run in another process."""

    server: Server
    folder: Path
    monkeypatch: pytest.MonkeyPatch
    data: dict[str, Any] = field(default_factory=catalog_data)

    @property
    def root(self) -> Path:
        return self.folder / "cache"

    @property
    def toy(self) -> Path:
        return self.root / "toy"

    @property
    def store(self) -> Store:
        path = self.folder / "catalog.yaml"
        path.write_text(yaml.safe_dump(self.data, sort_keys=False))
        return Store(load_catalog(path), self.root, convert)

    def hub_on(self, **files: bytes) -> None:
        """Switch the Hub on, with these files (``model_bin`` for ``model.bin``)."""
        self.monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        self.monkeypatch.setenv("HF_ENDPOINT", self.server.url)
        self.server.hub.update({name.replace("_", "."): data for name, data in files.items()})

    def keep_wheel(self, name: str, entry: str = "toy") -> Path:
        """Put a wheel where a run that was cut off leaves it."""
        kept = self.root / entry / "work" / "wheels" / f"{sha256(WHEELS[name])}.whl"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(WHEELS[name])
        return kept

    def keep_raw(self, data: bytes = MODEL) -> None:
        """Put the raw file where a run that was cut off leaves it."""
        (self.toy / "raw").mkdir(parents=True)
        (self.toy / "raw" / "model.bin").write_bytes(data)

    def spawn(self, action: str = "store.resolve('toy')", before: str = "") -> subprocess.Popen[str]:
        """Run an action on the store in another process; errors end it as the command line would."""
        _ = self.store
        code = PROGRAM.format(action=action, before=before)
        return subprocess.Popen(
            [sys.executable, "-c", code, str(self.folder / "catalog.yaml"), str(self.root)],
            env=isolated_environment(self.server),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def assert_nothing_usable(self) -> None:
        """Check that no model, no raw file and no unfinished file are left."""
        assert [p for p in self.root.rglob("*") if p.is_file() and p.suffix not in (".lock", ".whl")] == []


PROGRAM = """
import os, resource, sys, time
from pathlib import Path
from aligncap.errors import AlignCapError
from aligncap.weights import Store
from aligncap.weights.catalog import load_catalog

def convert(kind, raw, out_dir):
    (out_dir / "model.safetensors").write_bytes(b"converted:" + raw.read_bytes())
    (out_dir / "config.json").write_text("{{}}")

store = Store(load_catalog(Path(sys.argv[1])), Path(sys.argv[2]), convert)
{before}
try:
    print({action})
except AlignCapError as error:
    print(f"{{type(error).__name__}}: {{error}}", file=sys.stderr)
    sys.exit(error.exit_code)
"""
