"""Defaults of a user's own: a TOML file with a table for each command.

    [caption]
    batch_size = 16

The file is ``config.toml`` in the user's configuration folder, or what ``ALIGNCAP_CONFIG`` names (empty: none).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import typer

from aligncap.errors import AlignCapError

__all__ = ["ENV", "ConfigError", "apply_config", "config_path", "defaults", "read_config"]

ENV = "ALIGNCAP_CONFIG"


class ConfigError(AlignCapError):
    """The file of defaults cannot be read, or sets what does not exist."""

    exit_code = 2


def apply_config(context: typer.Context) -> None:
    """Make the file's values the defaults of the command that is about to run.

    Call it from the callback of the whole command line: options of the command line then go before the file, and the
    file before what is built in. ``aligncap info`` runs with a broken file too, and tells of it.

    Raises:
        ConfigError: the file cannot be read, or sets what does not exist, or to what is not allowed.
    """
    if context.invoked_subcommand in {None, "info"}:
        return
    path = config_path()
    values = read_config(path) if path is not None else None
    if values:
        context.default_map = defaults(context, values, str(path))


def config_path() -> Path | None:
    """Where the file is to be; None where ``ALIGNCAP_CONFIG`` is set and empty."""
    named = os.environ.get(ENV)
    if named is not None:
        return Path(named).expanduser() if named else None
    import platformdirs

    return platformdirs.user_config_path("aligncap") / "config.toml"


def read_config(path: Path) -> dict[str, Any] | None:
    """The tables of a file; None where there is none, and none was asked for.

    Raises:
        ConfigError: it cannot be read, is no TOML, or is absent though ``ALIGNCAP_CONFIG`` names it.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if os.environ.get(ENV):
            raise ConfigError(f"{path}: there is no such file, and {ENV} names it") from None
        return None
    except OSError as error:
        raise ConfigError(f"{path}: the defaults cannot be read: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: the defaults cannot be read: the file is not UTF-8") from None
    try:
        values: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: it is not TOML: {error}") from None
    return values


def defaults(context: typer.Context, values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Check what a file sets, and name it as the commands' parameters are named.

    Args:
        context: of the command line or of a group of commands.
        values: tables by command; keys are options without their dashes, ``batch_size`` or ``batch-size``.
        source: the file's name, for errors.

    Returns:
        command → parameter → value, groups of commands in their turn.

    Raises:
        ConfigError: no such command or option; a value that the option does not take.
    """
    found: dict[str, Any] = _group(context.command, context, values, source, ())
    return found


def _group(group: Any, context: typer.Context, values: Mapping[str, Any], source: str, at: tuple[str, ...]) -> Any:
    found: dict[str, Any] = {}
    for name, below in values.items():
        where = f"{source}: [{'.'.join((*at, name))}]"
        if name not in group.commands:
            if not isinstance(below, dict) and not at:
                raise ConfigError(
                    f"{source}: {name}: a default belongs to a command: put it below a line [caption], say"
                )
            own = _options(group)
            if name in own:
                found[own[name].name] = _checked(own[name], context, below, f"{source}: [{'.'.join(at)}] {name}")
                continue
            raise ConfigError(f"{where}: there is no such command{_hint(name, group.commands)}")
        if not isinstance(below, dict):
            raise ConfigError(f"{where}: it is a command: write its options in a table of that name")
        command = group.commands[name]
        deeper = _group if isinstance(getattr(command, "commands", None), dict) else _command
        found[name] = deeper(command, context, below, source, (*at, name))
    return found


def _command(command: Any, context: typer.Context, values: Mapping[str, Any], source: str, at: tuple[str, ...]) -> Any:
    options, found = _options(command), {}
    for key, value in values.items():
        where, name = f"{source}: [{'.'.join(at)}] {key}", key.replace("-", "_")
        if name not in options:
            raise ConfigError(f"{where}: there is no such option{_hint(name, options)}")
        if options[name].name in found:
            raise ConfigError(f"{where}: it is set twice")
        found[options[name].name] = _checked(options[name], context, value, where)
    return found


def _options(command: Any) -> dict[str, Any]:
    """The options by their long names, as keys; those that only print something and end are none."""
    return {
        spelling.lstrip("-").replace("-", "_"): option
        for option in command.params
        if option.param_type_name == "option" and not option.is_eager
        for spelling in option.opts
        if spelling.startswith("--")
    }


def _checked(option: Any, context: typer.Context, value: Any, where: str) -> Any:
    several = option.multiple or option.nargs != 1
    if isinstance(value, list) != several or isinstance(value, dict):
        raise ConfigError(f"{where}: it takes {'a list: [...]' if several else 'one value'}")
    if isinstance(value, bool) != bool(option.is_flag):
        raise ConfigError(f"{where}: it takes {'true or false' if option.is_flag else 'no true or false'}")
    if isinstance(value, str) and value.startswith("~/"):
        value = str(Path(value).expanduser())  # on the command line the shell does it
    try:
        option.process_value(context, value)
    except typer.BadParameter as error:
        raise ConfigError(f"{where}: {value!r}: {error.message}") from None
    return value


def _hint(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f": did you mean {close[0]}?" if close else f"; there are {', '.join(sorted(known))}"
