"""`python -m services.auth [serve | rotate-keys | create-tenant]`: the service, and what operators do beside it."""

import argparse
import os
import sys

from core.app import run
from services.auth import commands
from services.auth.app import build
from services.auth.settings import Settings


def main() -> None:
    arguments = _parser().parse_args()
    if arguments.command in (None, "serve"):
        run("auth", Settings, build, os.environ)
    sys.exit(commands.run(arguments, os.environ))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.auth", description="Portico's auth service.")
    subparsers = parser.add_subparsers(dest="command")
    subparsers.add_parser("serve", help="serve until a signal comes (the default)")
    subparsers.add_parser(
        "rotate-keys",
        help="let the next signing key take over; running services notice within seconds",
        description="Lets the next signing key take over. Tokens that the old one signed stay good.",
    )
    create = subparsers.add_parser(
        "create-tenant",
        help="register a company, also where registration is closed",
        description="Registers a company and prints, as one line of JSON, its owner and, where it made one, the "
        "password, which the owner has to change when signing in.",
    )
    create.add_argument("--company", required=True, help="the company's name, 1 to 200 characters")
    create.add_argument("--email", required=True, help="the owner's email")
    create.add_argument("--name", required=True, help="the owner's name")
    create.add_argument("--slug", default="", help="the tenant's slug; without it, made from the company's name")
    create.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    create.add_argument("--token-label", default="", help="also make an API token of the owner with this label")
    return parser


if __name__ == "__main__":
    main()
