"""Runs ``aligncap caption`` with a stand-in for the captioner, and kills it again and again.

``python kill_runner.py TIMES ARGUMENT...``: this process imports everything, and each run is a fork of it, so that
twenty runs take seconds. A run is killed (SIGKILL) once it has written a number of bytes that differs each time,
or a little later; the last is left to end. Prints how many were killed before they were done.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import types
from pathlib import Path

import stand_in

import aligncap.captioner.collection
import aligncap.captioner.cutting
import aligncap.cli


class Slow(stand_in.StandIn):
    """Takes a while for each stretch."""

    def stream(self, clips, **options):
        for result in super().stream(clips, **options):
            time.sleep(0.002)
            yield result


def run(arguments: list[str]) -> None:
    sys.argv = ["aligncap", *arguments]
    aligncap.cli.main()


def main(times: int, arguments: list[str]) -> int:
    module = types.ModuleType("aligncap.captioner.loading")
    module.__dict__.update(load=lambda *_, **__: Slow(), pick_device=stand_in.pick_device)
    sys.modules[module.__name__] = module
    output = Path(arguments[arguments.index("-o") + 1])
    chance = random.Random(1)
    killed = 0
    for number in range(times + 1):
        child = os.fork()
        if not child:
            run(arguments)
            os._exit(9)  # never reached: main ends the process
        before = output.stat().st_size if output.exists() else 0
        enough = before + chance.randint(0, 1800)
        while number < times and not os.waitpid(child, os.WNOHANG)[0]:
            if output.exists() and output.stat().st_size >= enough:
                time.sleep(chance.random() * 0.004)
                os.kill(child, signal.SIGKILL)
                killed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
                break
            time.sleep(0.0005)
        if number == times:
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(killed)
    return status


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
