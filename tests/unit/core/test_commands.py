"""The command line of a service."""

import argparse
from collections.abc import Mapping

import pytest

from core.commands import Command, run
from core.config import ConfigError

ENV = {"A": "b"}


def _count(arguments: argparse.Namespace, env: Mapping[str, str]) -> int:
    assert env is ENV
    return int(arguments.status)


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("status")


COUNT = Command("count", "counts", "Counts things.", _count, _add)


@pytest.mark.parametrize("argv", [[], ["serve"]])
def test_a_service_serves_unless_told_otherwise(argv: list[str]) -> None:
    assert run("stub", [COUNT], argv, ENV) is None


def test_a_command_gives_the_exit_status() -> None:
    assert run("stub", [COUNT], ["count", "3"], ENV) == 3


@pytest.mark.parametrize(("argv", "said"), [(["--help"], "counts"), (["count", "--help"], "Counts things.")])
def test_help_names_what_there_is(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("stub", [COUNT], argv, ENV)
    assert ended.value.code == 0
    assert said in capsys.readouterr().out


def test_what_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("stub", [COUNT], ["cuont"], ENV)
    assert ended.value.code == 2
    assert "serve" in capsys.readouterr().err


def test_a_configuration_of_no_use_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(arguments: argparse.Namespace, env: Mapping[str, str]) -> int:
        raise ConfigError(["A: must be c"])

    assert run("stub", [Command("refuse", "refuses", "Refuses.", refuse)], ["refuse"], ENV) == 2
    assert "A: must be c" in capsys.readouterr().err
