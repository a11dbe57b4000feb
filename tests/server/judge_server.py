"""Runs ``aligncap judge`` in a process that can be killed: ``judge_server.py PAIRS MANIFEST --db FILE …``."""

from __future__ import annotations

import sys

import typer

from aligncap.cli.judge import app
from aligncap.errors import AlignCapError

if __name__ == "__main__":
    command = typer.Typer(add_completion=False)
    command.callback()(lambda: None)
    command.add_typer(app, name="judge")
    try:
        command(["judge", *sys.argv[1:]])
    except AlignCapError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
