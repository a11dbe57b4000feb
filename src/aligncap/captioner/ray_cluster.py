"""A Ray cluster to caption on: the user's own, or one that is started here and stopped in the end."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from textwrap import shorten
from typing import Any

from aligncap.errors import AlignCapError, MissingExtraError

__all__ = ["ClusterError", "Workers", "connected", "reason"]

# Read when Ray is imported, and by the processes that it starts; what the user has set stays.
_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0"}
_ENVIRONMENT_HERE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # despite its name: everything listens on loopback alone
    "RAY_worker_niceness": "0",  # Ray's 15 lets workers starve beside whatever else runs
}
_CORES_PER_WORKER = 4


class ClusterError(AlignCapError):
    """There is no Ray cluster where one was named, or its workers do not start."""

    exit_code = 3


@dataclass(frozen=True)
class Workers:
    """What captions on a cluster.

    Attributes:
        number: of worker processes, each with a model of its own; None: as many as the GPUs of the cluster suffice
            for; without GPUs, one for every four CPU cores.
        threads: CPU threads of each; None: the cores, shared out among them.
        gpus: of each; half a GPU lets two share one. None: one where the device is ``cuda``, else none.
        address: of the cluster: ``auto`` (that of this machine), ``HOST:PORT``, ``ray://HOST:PORT``; None: one is
            started on this machine, which nothing outside it can reach (where Ray was not imported before).
        device: as for `aligncap.load`; ``auto``: ``cuda`` where the cluster has GPUs.
    """

    number: int | None = None
    threads: int | None = None
    gpus: float | None = None
    address: str | None = None
    device: str = "auto"

    def settled(self, cores: Sequence[float], gpus: float) -> Workers:
        """The same with nothing left open.

        Args:
            cores: of each machine.
            gpus: of all.
        """
        device = "cuda" if self.device == "auto" and gpus else self.device
        each = self.gpus if self.gpus is not None else float(device.startswith("cuda"))
        number = self.number or max(1, int(gpus / each) if each and gpus else int(sum(cores)) // _CORES_PER_WORKER)
        most = int(sum(cores)) // number
        fitting = (count for count in range(most, 0, -1) if sum(core // count for core in cores) >= number)
        return Workers(number, self.threads or next(fitting, 1), each, self.address, device)


@contextmanager
def connected(wanted: Workers) -> Iterator[tuple[Any, Workers]]:
    """Connect to a cluster, or start one; a connection that there is already is used, and left as it is.

    Yields:
        the module ``ray``, and the workers, settled.

    Raises:
        MissingExtraError: Ray is not installed.
        ClusterError: there is no cluster at the address, or it is of another version.
    """
    environment = _ENVIRONMENT if wanted.address else _ENVIRONMENT | _ENVIRONMENT_HERE
    for name, value in environment.items():
        os.environ.setdefault(name, value)
    try:
        ray: Any = import_module("ray")
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise MissingExtraError("captioning with --engine ray", "ray") from error
    if ray.is_initialized():
        yield ray, _settled(ray, wanted)
        return
    cores = _cores_here()
    options: dict[str, Any] = {"address": wanted.address}
    if wanted.address is None:
        processes = wanted.number or max(1, cores // _CORES_PER_WORKER)
        options = {"address": "local", "num_cpus": processes, "include_dashboard": False}
    on_termination = signal.getsignal(signal.SIGTERM)
    _silence(ray, True)
    try:
        try:
            _check(wanted.address or "auto")
            ray.init(**options, log_to_driver=False, logging_level=logging.CRITICAL)
        except Exception as error:
            where = f"{wanted.address}: no Ray cluster can be used there" if wanted.address else "Ray does not start"
            raise ClusterError(f"{where}: {reason(error)}") from error
        yield ray, _settled(ray, wanted) if wanted.address else wanted.settled([cores], _gpus(ray))
    finally:
        ray.shutdown()  # stops what was started here; leaves a cluster of the user's as it is
        _silence(ray, False)
        if threading.current_thread() is threading.main_thread() and on_termination is not None:
            signal.signal(signal.SIGTERM, on_termination)  # Ray has put its own there, and leaves it


def reason(error: Exception) -> str:
    """What an error of Ray's says, in one line: some hold whole tracebacks."""
    text = str(error).strip() or type(error).__name__
    return shorten(text.splitlines()[-1] if "Traceback" in text else text, 300, placeholder=" …")


def _check(address: str) -> None:
    """Knock before Ray does, which goes on knocking for minutes, aloud."""
    host, found, port = address.removeprefix("ray://").rpartition(":")
    if found and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def _settled(ray: Any, wanted: Workers) -> Workers:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return wanted.settled([node.get("CPU", 0.0) for node in nodes], _gpus(ray))


def _gpus(ray: Any) -> float:
    return float(ray.cluster_resources().get("GPU", 0))


def _cores_here() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _silence(ray: Any, silent: bool) -> None:
    """Keep what Ray tells of workers that die off standard output, where captions go: no option of its does that."""
    ray._private.worker._worker_logs_enabled = not silent
