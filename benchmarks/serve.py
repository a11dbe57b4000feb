"""Loads ``aligncap serve``: throughput of many clients against one, a soak of good and bad uploads, schemathesis.

    pip install 'aligncap[torch,serve]' httpx schemathesis
    python benchmarks/serve.py load examples/*.flac
    python benchmarks/serve.py soak examples/*.flac --seconds 120
    python benchmarks/serve.py schema

Each starts a server of its own (``--server``: another command), and prints Markdown. `load` sends every recording
alone, one after the other, then the same from 16 clients at once, and compares the captions. `soak` watches memory,
open files, threads and temporary files of the server (Linux: /proc) after a third of the time more for warming up, and
compares them at rest before and after. Exits with 1 where captions differ, an upload is answered with 5xx, files are
left open, or memory grows by more than a twentieth (of a straight line through the samples) or a tenth (at rest).
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import re
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import httpx

CLIENTS = 16
KIB_PER_MIB = 1024
SAMPLES = 60  # of a soak
NAMES = ("sum", "count")


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["load", "soak", "schema"])
    parser.add_argument("recordings", type=Path, nargs="*")
    parser.add_argument("--server", default=f"{shlex.quote(sys.executable)} -m aligncap serve", help="command to start")
    parser.add_argument("--requests", type=int, default=64, help="of load")
    parser.add_argument("--seconds", type=float, default=60, help="of soak")
    parser.add_argument("--examples", type=int, default=50, help="of schemathesis, for each operation")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if not arguments.recordings and arguments.what != "schema":
        parser.error("name some recordings")
    with tempfile.TemporaryDirectory() as folder, started(arguments.server, Path(folder)) as (address, pid):
        print(f"{date.today()}, {platform.machine()}, Python {platform.python_version()}, seed {arguments.seed}\n")
        good = {"load": load, "soak": soak, "schema": schema}[arguments.what](arguments, address, pid, Path(folder))
    sys.exit(0 if good else 1)


@contextmanager
def started(command: str, temporary: Path) -> Iterator[tuple[str, int]]:
    """A server with a folder for temporary files of its own; its address and process."""
    limits = ["--port", "0", "--max-mb", "2", "--max-seconds", "60", "--log-level", "warning"]
    process = subprocess.Popen(
        [*shlex.split(command), *limits],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"serving \S+ on (\S+)", line):
                break
        else:
            sys.exit("the server did not start")
        log = process.stderr
        threading.Thread(target=lambda: sys.stderr.writelines(log), daemon=True).start()
        while True:
            try:
                httpx.get(f"{found.group(1)}/ready").raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield found.group(1), process.pid
    finally:
        process.terminate()
        process.wait(60)


def caption(client: httpx.Client, path: Path) -> list[str]:
    """The captions of a recording."""
    answer = client.post("/v1/captions", files={"file": (path.name, path.read_bytes())})
    answer.raise_for_status()
    return [one["caption"] for one in answer.json()["captions"]]


def load(arguments: argparse.Namespace, address: str, pid: int, folder: Path) -> bool:
    """Throughput of one client and of sixteen."""
    asked = [arguments.recordings[place % len(arguments.recordings)] for place in range(arguments.requests)]
    with httpx.Client(base_url=address, timeout=600) as client:
        caption(client, asked[0])  # the first one pays for what is loaded late
        rows, captions = [], []
        for clients in (1, CLIENTS):
            spent, began = cpu_seconds(pid), time.perf_counter()
            with ThreadPoolExecutor(clients) as pool:
                captions.append(list(pool.map(lambda path: caption(client, path), asked)))
            wall = time.perf_counter() - began
            rows.append((clients, wall, len(asked) / wall, (cpu_seconds(pid) - spent) / len(asked)))
        batches = client.get("/metrics").text
    print("| clients | seconds | requests/s | processor seconds a request |\n|--:|--:|--:|--:|")
    for clients, wall, rate, spent in rows:
        print(f"| {clients} | {wall:.1f} | {rate:.2f} | {spent:.3f} |")
    same = captions[0] == captions[1]
    found = "the same" if same else "NOT the same"
    print(f"\n{rows[1][2] / rows[0][2]:.2f} times the throughput; the captions are {found}")
    total, count = (re.search(rf"^aligncap_batch_recordings_{name} (\S+)", batches, re.MULTILINE) for name in NAMES)
    if total and count:
        print(f"{float(count[1]):.0f} batches for {float(total[1]):.0f} recordings")
    return same


def soak(arguments: argparse.Namespace, address: str, pid: int, folder: Path) -> bool:
    """Good and bad uploads at random; what is left of them."""
    good = [path.read_bytes() for path in arguments.recordings]
    statuses: Counter[str] = Counter()
    with httpx.Client(base_url=address, timeout=600, limits=httpx.Limits(max_connections=CLIENTS)) as client:

        def run(until: float, seed: int) -> None:
            draws = random.Random(seed)
            while time.monotonic() < until:
                kind = draws.choice(KINDS)
                statuses[f"{kind.__name__} {kind(client, draws.choice(good), draws)}"] += 1

        def all_of(seconds: float, seed: int) -> None:
            until = time.monotonic() + seconds
            workers = [threading.Thread(target=run, args=(until, seed + at)) for at in range(CLIENTS)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()

        all_of(arguments.seconds / 3, arguments.seed)  # memory grows till every kind of request has been there
        time.sleep(6)  # connections that are kept alive end
        before = state(pid, folder)
        warming = sum(statuses.values())
        statuses.clear()
        samples: list[dict[str, float]] = []
        watched = threading.Event()

        def watch() -> None:
            while not watched.wait(arguments.seconds / SAMPLES):
                samples.append(state(pid, folder))

        watcher = threading.Thread(target=watch)
        watcher.start()
        all_of(arguments.seconds, arguments.seed + 1000)
        watched.set()
        watcher.join()
        time.sleep(6)
        after = state(pid, folder)
        busy = re.search(r"^aligncap_requests_in_flight (\S+)", client.get("/metrics").text, re.MULTILINE)
    print("| request and answer | times |\n|---|--:|")
    for name, count in sorted(statuses.items()):
        print(f"| {name} | {count} |")
    print(f"\n| | at rest, after {warming} requests | of {len(samples)} samples: least | most | at rest again |")
    print("|---|--:|--:|--:|--:|")
    for name, value in before.items():
        seen = [sample[name] for sample in samples]
        print(f"| {name} | {value} | {min(seen)} | {max(seen)} | {after[name]} |")
    growth = risen([sample["resident MiB"] for sample in samples])
    print(f"\na line through the samples of memory rises by {growth:+.0f} MiB from first to last")
    print(f"requests in flight at the end: {busy and busy[1]}")
    wrong = [name for name in statuses if name[-3] == "5"]
    leak = after["resident MiB"] > 1.1 * before["resident MiB"] or growth > 0.05 * before["resident MiB"]
    left = after["open files"] > before["open files"] or after["threads"] > before["threads"] + 2
    left = left or after["temporary files"] > before["temporary files"] or not busy or busy[1] != "0.0"
    found = {"answers of 5xx": wrong, "memory grows": leak, "files, threads or requests are left": left}
    problems = [problem for problem, there in found.items() if there]
    print(f"WRONG: {'; '.join(problems)}" if problems else "no leak, no answer of 5xx")
    return not problems


def risen(values: list[float]) -> float:
    """How much a straight line through values, the least squares', rises from the first to the last."""
    if len(values) < 2:
        return 0.0
    slope, _ = statistics.linear_regression(range(len(values)), values)
    return slope * (len(values) - 1)


def whole(client: httpx.Client, data: bytes, draws: random.Random) -> int:
    """A good recording."""
    return client.post("/v1/captions", files={"file": ("a", data)}).status_code


def with_evidence(client: httpx.Client, data: bytes, draws: random.Random) -> int:
    """Another, with all there is to be had."""
    fields = {"evidence": "true", "num_captions": "2"}
    return client.post("/v1/captions", files={"file": ("a", data)}, data=fields).status_code


def cut(client: httpx.Client, data: bytes, draws: random.Random) -> int:
    """A recording that breaks off somewhere."""
    return client.post("/v1/captions", files={"file": ("a", data[: draws.randrange(len(data))])}).status_code


def damaged(client: httpx.Client, data: bytes, draws: random.Random) -> int:
    """A recording with wrong bytes in it."""
    bad = bytearray(data)
    for _ in range(20):
        bad[draws.randrange(len(bad))] = draws.randrange(256)
    return client.post("/v1/captions", files={"file": ("a", bytes(bad))}).status_code


def noise(client: httpx.Client, data: bytes, draws: random.Random) -> int:
    """No recording."""
    return client.post("/v1/captions", files={"file": ("a", draws.randbytes(draws.randrange(1_500_000)))}).status_code


def too_large(client: httpx.Client, data: bytes, draws: random.Random) -> int:
    """More bytes than are accepted."""
    return client.post("/v1/captions", files={"file": ("a", bytes(2_500_000))}).status_code


def empty(client: httpx.Client, data: bytes, draws: random.Random) -> int:
    """A file of no bytes."""
    return client.post("/v1/captions", files={"file": ("a.wav", b"")}).status_code


def text(client: httpx.Client, data: bytes, draws: random.Random) -> int:
    """A text that says that it is sound."""
    return client.post("/v1/captions", files={"file": ("a.wav", b"hello " * 500, "audio/wav")}).status_code


def mixed(client: httpx.Client, data: bytes, draws: random.Random) -> int:
    """Good and bad ones in one request."""
    files = [("file", (f"{place}", part)) for place, part in enumerate((data, b"no", data[: len(data) // 3], data))]
    return client.post("/v1/captions", files=files).status_code


def wrong_type(client: httpx.Client, data: bytes, draws: random.Random) -> int:
    """A body that is no form, or one of which nobody can tell the parts."""
    kind = draws.choice(["application/json", "audio/flac", "multipart/form-data", "multipart/form-data; boundary=y"])
    return client.post("/v1/captions", content=data, headers={"content-type": kind}).status_code


def huge_header(client: httpx.Client, data: bytes, draws: random.Random) -> int:
    """More of a header than anybody reads, of the request or of a part."""
    if draws.random() < 0.5:
        return client.get("/health", headers={"x-much": "y" * 200_000}).status_code
    return client.post("/v1/captions", files={"file": ("n" * 200_000, data)}).status_code


def wrong_field(client: httpx.Client, data: bytes, draws: random.Random) -> int:
    """Nothing that is asked for."""
    return client.post("/v1/captions", files={"audio": ("a", data)}, data={"promt": "x"}).status_code


def broken_off(client: httpx.Client, data: bytes, draws: random.Random) -> str:
    """A client that goes away in the middle, of the upload or of the waiting."""
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + data + b"\r\n--x--\r\n"
    head = f"POST /v1/captions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    head += "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as connection:
        connection.sendall(head.encode() + body[: draws.choice([0, len(body) // 2, len(body)])])
        time.sleep(draws.random() / 5)
    return "---"


GOOD: list[Any] = [whole, whole, with_evidence, mixed]
BAD: list[Any] = [cut, damaged, noise, too_large, empty, text, wrong_type, huge_header, wrong_field, broken_off]
KINDS = GOOD + BAD


def state(pid: int, folder: Path) -> dict[str, float]:
    """What a process holds."""
    memory = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    return {
        "resident MiB": round(int(memory[1]) / KIB_PER_MIB) if memory else 0,
        "open files": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
        "temporary files": len(list(folder.rglob("*"))),
    }


def cpu_seconds(pid: int) -> float:
    """Of a process so far; it does not depend on what else the machine does."""
    values = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


def schema(arguments: argparse.Namespace, address: str, pid: int, folder: Path) -> bool:
    """What schemathesis finds."""
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json", "--checks", checks]
    command += ["--max-examples", str(arguments.examples), "--seed", str(arguments.seed), "--no-color"]
    return subprocess.run(command, cwd=folder, check=False).returncode == 0


if __name__ == "__main__":
    main()
