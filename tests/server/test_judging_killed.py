"""Nothing is lost when the judging server is killed while votes come in."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
from fake import sound

from aligncap.server.judging.store import Store

KILLS = 2


def start(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """The command in a process of its own, and its address."""
    command = [sys.executable, str(Path(__file__).with_name("judge_server.py")), "pairs.jsonl", "manifest.csv"]
    process = subprocess.Popen(
        [*command, "--db", "votes.sqlite", "--port", "0"], cwd=folder, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"judging on (\S+)", line):
            address = found.group(1)
            break
    else:
        raise AssertionError("it did not start")
    while True:
        try:
            httpx.get(f"{address}/health")
            return process, address
        except httpx.HTTPError:
            time.sleep(0.02)


def test_killed_while_voting(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(sound(0.2))
    (tmp_path / "manifest.csv").write_text("id,audio\nc/1,a.wav\n")
    records = [{"id": "c/1", "a": f"First {at}.", "b": f"Second {at}."} for at in range(400)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    saved: dict[tuple[str, str], str] = {}
    options = ("left", "right", "tie", "both_wrong")

    def votes_till_killed(address: str, rater: str) -> None:
        """Go on where the server says, as the page does."""
        with httpx.Client(base_url=address) as client:
            try:
                asked = client.get("/api/session", params={"rater": rater}).json()["questions"]
                for place, question in enumerate(one for one in asked if one["choice"] is None):
                    body = {"rater": rater, "key": question["key"], "choice": options[place % 4], "seconds": 1}
                    if client.post("/api/votes", json=body).status_code == 200:
                        saved[rater, question["key"]] = body["choice"]
            except httpx.HTTPError:
                return

    for _ in range(KILLS):
        before = len(saved)
        process, address = start(tmp_path)
        raters = [threading.Thread(target=votes_till_killed, args=(address, name)) for name in ("ann", "bob")]
        for rater in raters:
            rater.start()
        deadline = time.monotonic() + 20
        while len(saved) < before + 12 and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
        for rater in raters:
            rater.join()
        assert len(saved) >= before + 12

    held = {(one.rater, one.question.key): one for one in Store(tmp_path / "votes.sqlite").votes()}
    assert set(saved) <= set(held)
    for key, choice in saved.items():
        vote = held[key]
        other = "b" if vote.left == "a" else "a"
        assert vote.choice == {"left": vote.left, "right": other}.get(choice, choice)
    # what was written but not acknowledged may be there, once: one vote in flight for each rater and kill
    assert len(held) - len(saved) <= 2 * KILLS
