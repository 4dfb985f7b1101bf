"""`python -m services.inference [serve | rotate-credentials]`: the service, and what operators do beside it."""

import argparse
import os
import sys

from core.app import run
from services.inference import commands
from services.inference.app import build
from services.inference.settings import Settings


def main() -> None:
    arguments = _parser().parse_args()
    if arguments.command in (None, "serve"):
        run("inference", Settings, build, os.environ)
    sys.exit(commands.run(os.environ))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.inference", description="Portico's inference service.")
    subparsers = parser.add_subparsers(dest="command")
    subparsers.add_parser("serve", help="serve until a signal comes (the default)")
    subparsers.add_parser(
        "rotate-credentials",
        help="seal all providers' credentials with the first of PORTICO_ENCRYPTION_KEYS",
        description="Opens the credentials of every tenant's providers and seals them again with the first key of "
        "PORTICO_ENCRYPTION_KEYS. Put the new key first and keep the old one behind it, restart the services, run "
        "this, then remove the old key. It may run beside the service and may be repeated.",
    )
    return parser


if __name__ == "__main__":
    main()
