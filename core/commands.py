"""The command line of a service: `python -m services.<name> [serve | <command>]`."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.config import ConfigError


def _none(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command of an operator, run beside the running service. `run` gives the exit status, and may raise
    ConfigError."""

    name: str
    help: str
    description: str
    run: Callable[[argparse.Namespace, Mapping[str, str]], int]
    add_arguments: Callable[[argparse.ArgumentParser], None] = _none


def run(service: str, commands: Sequence[Command], argv: Sequence[str] | None, env: Mapping[str, str]) -> int | None:
    """Run the command that `argv` (None: the process's) names. Returns its exit status; None: it is to serve."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{service}", description=f"Portico's {service} service.")
    subparsers = parser.add_subparsers(dest="command", title="commands", metavar="")
    subparsers.add_parser("serve", help="serve until a signal comes (the default); settings come from the environment")
    for command in commands:
        command.add_arguments(subparsers.add_parser(command.name, help=command.help, description=command.description))
    arguments = parser.parse_args(argv)
    named = next((command for command in commands if command.name == arguments.command), None)
    if named is None:
        return None
    try:
        return named.run(arguments, env)
    except ConfigError as error:
        return complain(error)


def complain(error: ConfigError) -> int:
    """Say what is wrong and give the exit status for it, the one that argparse has for a wrong command line."""
    sys.stderr.write(f"{error}\n")
    return 2
