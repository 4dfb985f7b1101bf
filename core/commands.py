"""The command line of a service: `python -m services.<name> [serve | <command>]`."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


def _none(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


@dataclass(frozen=True, slots=True)
class Command:
    """What operators do beside the running service. `run` gives the exit status; 2: the configuration is of no use."""

    name: str
    help: str
    description: str
    run: Callable[[argparse.Namespace, Mapping[str, str]], int]
    add_arguments: Callable[[argparse.ArgumentParser], None] = _none


def run(service: str, commands: Sequence[Command], argv: Sequence[str] | None, env: Mapping[str, str]) -> int | None:
    """Runs the command that `argv` (None: the process's) names and gives its exit status. None: it is to serve."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{service}", description=f"Portico's {service} service.")
    subparsers = parser.add_subparsers(dest="command", title="commands", metavar="")
    subparsers.add_parser("serve", help="serve until a signal comes (the default); settings come from the environment")
    for command in commands:
        command.add_arguments(subparsers.add_parser(command.name, help=command.help, description=command.description))
    arguments = parser.parse_args(argv)
    named = next((command for command in commands if command.name == arguments.command), None)
    return None if named is None else named.run(arguments, env)
