"""``aligncap serve``: captions over HTTP, and a page to try them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from aligncap.cli.options import CalibrationFile, Checkpoint, Device, Dtype, Threads
from aligncap.cli.recordings import load_captioner
from aligncap.errors import AlignCapError

__all__ = ["read_key", "serve"]

_ENV = "ALIGNCAP_API_KEY"
_MIN_KEY = 16


def serve(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0: on every network of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="0: any that is free.")] = 8000,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"Clients have to send the key in this file (or in the variable {_ENV}).",
            show_default=False,
        ),
    ] = None,
    max_batch: Annotated[
        int, typer.Option(min=1, metavar="N", help="Stretches captioned together: more is faster, and bigger.")
    ] = 16,
    max_wait: Annotated[
        float, typer.Option(min=0, metavar="MS", help="How long each batch waits for more recordings.")
    ] = 50,
    max_mb: Annotated[float, typer.Option(min=0.001, metavar="MIB", help="Largest request.")] = 25,
    max_files: Annotated[int, typer.Option(min=1, metavar="N", help="Recordings in a request.")] = 16,
    max_seconds: Annotated[
        float, typer.Option(min=0.1, metavar="S", help="Length of a request's recordings together.")
    ] = 600,
    max_channels: Annotated[int, typer.Option(min=1, metavar="N", help="Channels of a recording.")] = 16,
    queue: Annotated[int, typer.Option(min=1, metavar="N", help="Requests served at a time; others get 429.")] = 64,
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="S", help="From a request's beginning to its answer.")
    ] = 300,
    checkpoint: Checkpoint = "embedded",
    calibration: CalibrationFile = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    threads: Threads = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="Of the log, lines of JSON on standard error.")
    ] = "info",
) -> None:
    """Caption recordings over HTTP, with a page to try it at the address that is printed.

    Listens on this machine alone unless --host says otherwise. Recordings that come together are captioned together;
    the captions are the same as one by one (in float32 and int8). Uploads are not kept. SIGTERM or Ctrl-C: nothing more
    is accepted, and what was accepted is finished.

    \b
    Examples:
      aligncap serve
      curl -F file=@call.wav http://127.0.0.1:8000/v1/captions
      curl -F file=@a.wav -F file=@b.mp3 -F num_captions=3 -F seed=1 http://127.0.0.1:8000/v1/captions
      ALIGNCAP_API_KEY=$(cat key) aligncap serve --host 0.0.0.0
      curl -H "Authorization: Bearer $(cat key)" -F file=@call.wav http://server:8000/v1/captions

    \b
    Addresses:
      /                 the page: record or upload, caption, evidence, comparison of prompts
      /v1/captions      POST multipart/form-data: file (several times if wanted), prompt, num_captions, temperature,
                        top_p, seed, verify, evidence
      /v1/info          the model, its prompts, the limits
      /health, /ready   for whoever watches over the process
      /metrics          for Prometheus
      /openapi.json     all of this for programs; see also docs/serve.md

    \b
    Exit codes:
      0  ended by a signal, all work done
      1  the address cannot be had
      2  wrong usage
      3  the checkpoint, base weights or Python packages are missing
    """
    from aligncap.server.limits import Limits
    from aligncap.server.run import address_of, bind, check_available, is_loopback, run

    check_available()
    key = read_key(api_key_file)
    try:
        limits = Limits(
            max_bytes=round(max_mb * 2**20),
            max_files=max_files,
            max_seconds=max_seconds,
            max_channels=max_channels,
            queue=queue,
            queue_seconds=max(Limits.queue_seconds, max_seconds),
            max_batch=max_batch,
            max_wait=max_wait / 1000,
            timeout=timeout,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    with bind(host, port) as taken:
        from aligncap.server.logs import configure

        configure(log_level)
        say(f"loading {checkpoint} …")
        captioner = load_captioner(checkpoint, device, dtype, threads)
        if calibration is not None:
            from aligncap.captioner.calibration import Calibration

            captioner.calibration = Calibration.load(calibration)
        from aligncap.server.app import create_app

        app = create_app(captioner, limits=limits, api_key=key)
        if key is None and not is_loopback(taken):
            say(f"warning: everybody who can reach this machine can use it: set {_ENV} to ask for a key")
        say(f"serving {captioner.name} on {address_of(taken)} (Ctrl-C ends it)")
        run(app, taken, patience=timeout)


def read_key(path: Path | None) -> str | None:
    """The API key, from a file or from the environment (an option would be seen by every user of the machine).

    Raises:
        AlignCapError: the file cannot be read.
        typer.BadParameter: the key is too short, or has characters that HTTP headers cannot carry.
    """
    if path is None:
        if _ENV not in os.environ:
            return None
        key, hint = os.environ[_ENV].strip(), _ENV
    else:
        try:
            key, hint = path.read_text(encoding="utf-8").strip(), "--api-key-file"
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise AlignCapError(f"{path}: the API key cannot be read: {reason.lower()}") from None
    if len(key) < _MIN_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise typer.BadParameter(
            f"an API key has at least {_MIN_KEY} ASCII characters and no spaces: make one with `openssl rand -hex 32`",
            param_hint=hint,
        )
    return key


def say(line: str) -> None:
    """Print a line for people on standard error, where the log goes too."""
    if sys.stderr is not None:
        print(line, file=sys.stderr, flush=True)
