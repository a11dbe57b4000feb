"""``aligncap weights``: list, fetch, verify and remove the base weights."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Literal

import typer

from aligncap.weights import Status, Store

__all__ = ["app"]

app = typer.Typer(help="Base weights: list, fetch, verify and remove them.")

_Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
_PRESET = "embedded"


def _store(context: typer.Context) -> Store:
    """Take the store that a caller of the app handed in (as tests do), else the user's."""
    return context.obj if isinstance(context.obj, Store) else Store.default()


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _record(status: Status) -> dict[str, object]:
    entry = status.entry
    return {
        "name": entry.name,
        "role": entry.role,
        "description": entry.description,
        "licence": entry.licence,
        "homepage": entry.homepage,
        "size": entry.size,
        "sha256": entry.sha256,
        "state": status.state,
        "path": str(status.path) if status.path else None,
        "bytes_on_disk": status.bytes_on_disk,
    }


def _print_list(store: Store, as_json: bool) -> None:
    statuses = [store.status(name) for name in store.catalog.entries]
    if as_json:
        print(json.dumps([_record(status) for status in statuses], indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("name", "role", "size", "licence", "sha256", "state", "where"):
        side: Literal["left", "right"] = "right" if title == "size" else "left"
        table.add_column(title, justify=side, no_wrap=title != "where", overflow="fold")
    for status in statuses:
        entry = status.entry
        where = str(status.path) if status.path else "-"
        size = _megabytes(entry.size)
        table.add_row(entry.name, entry.role, size, entry.licence, entry.sha256[:12], status.state, where)
    # A pipe has no width to fit into, and a path broken over lines is of no use to what reads it.
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)


@app.callback(invoke_without_command=True)
def _default(context: typer.Context, as_json: _Json = False) -> None:
    """Base weights: list, fetch, verify and remove them."""
    if context.invoked_subcommand is None:
        _print_list(_store(context), as_json)


@app.command("list")
def list_weights(context: typer.Context, as_json: _Json = False) -> None:
    """List the base weights: role, size to download, licence, hash, and whether they are cached."""
    _print_list(_store(context), as_json)


@app.command()
def fetch(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Default: those of the embedded preset.")
    ] = None,
) -> None:
    """Download, check and convert base weights; check those that are cached, and repair damaged ones."""
    store = _store(context)
    wanted = [store.catalog[name].name for name in names or store.catalog.presets[_PRESET]]
    for name in wanted:
        path = store.fetch(name)
        print(f"{name}: ready, {_megabytes(store.status(name).bytes_on_disk)} in {path}")


@app.command()
def verify(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Default: all in the cache.")] = None,
) -> None:
    """Hash every cached file; exit with 1 when something is damaged."""
    store = _store(context)
    cached = [name for name in store.catalog.entries if store.status(name).state in ("present", "damaged")]
    if not names and not cached:
        print(f"no base weights in {store.root}; to get them, run: aligncap weights fetch")
    failed = False
    for name in names or cached:
        problems = store.verify(name)
        failed |= bool(problems)
        print(f"{name}: {'; '.join(problems)}. Run: aligncap weights fetch {name}" if problems else f"{name}: ok")
    if failed:
        raise typer.Exit(1)


@app.command()
def remove(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove all base weights.")] = False,
) -> None:
    """Delete base weights from the cache."""
    store = _store(context)
    if bool(names) == everything:
        raise typer.BadParameter("give the names to remove, or --all", param_hint="NAME")
    wanted = [store.catalog[name].name for name in names or store.catalog.entries]
    for name in wanted:
        freed = store.remove(name)
        print(f"{name}: removed, {_megabytes(freed)} freed" if freed else f"{name}: not in the cache")
