import copy
import pickle
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pytest

from core.config import ConfigError, Secret, describe, example, load, setting


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    """The inside."""

    limit: float = setting("PORTICO_LIMIT_SECONDS", default=2.5, min=0.5, help="How long it may take.")


@dataclass(frozen=True)
class Outer:
    """The outside.

    More about it.
    """

    inner: Inner
    key: Secret = setting("PORTICO_KEY", min=4, help="Signs things.")
    port: int = setting("PORTICO_PORT", default=8080, min=1, max=65535, help="Where to listen.")
    name: str = setting("PORTICO_NAME", default="one")
    on: bool = setting("PORTICO_ON", default=True)
    folder: Path = setting("PORTICO_FOLDER", default=Path("data"))
    mode: Literal["fast", "safe"] = setting("PORTICO_MODE", default="safe")
    colour: Colour = setting("PORTICO_COLOUR", default=Colour.RED)
    hosts: tuple[str, ...] = setting("PORTICO_HOSTS", default=("a", "b"))
    proxy: str | None = setting("PORTICO_PROXY", default=None)
    mail_password: Secret | None = setting("PORTICO_MAIL_PASSWORD", default=None)


MINIMAL = {"PORTICO_KEY": "long enough"}


def test_defaults_stand_where_nothing_is_set() -> None:
    settings = load(Outer, MINIMAL)
    assert settings.port == 8080
    assert settings.inner == Inner(limit=2.5)
    assert settings.hosts == ("a", "b")
    assert settings.proxy is None


def test_every_type_is_read() -> None:
    settings = load(
        Outer,
        {
            "PORTICO_KEY": " k3y! ",
            "PORTICO_PORT": "99",
            "PORTICO_NAME": "two",
            "PORTICO_ON": "No",
            "PORTICO_FOLDER": "/srv/x",
            "PORTICO_MODE": "fast",
            "PORTICO_COLOUR": "blue",
            "PORTICO_HOSTS": "c, d,,e",
            "PORTICO_PROXY": "http://p",
            "PORTICO_MAIL_PASSWORD": "pw",
            "PORTICO_LIMIT_SECONDS": "0.5",
        },
    )
    assert settings == Outer(
        key=Secret("k3y!"),
        port=99,
        name="two",
        on=False,
        folder=Path("/srv/x"),
        mode="fast",
        colour=Colour.BLUE,
        hosts=("c", "d", "e"),
        proxy="http://p",
        mail_password=Secret("pw"),
        inner=Inner(limit=0.5),
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("1", True), ("YES", True), ("false", False), ("0", False), ("no", False)],
)
def test_booleans(text: str, value: bool) -> None:
    assert load(Outer, {**MINIMAL, "PORTICO_ON": text}).on is value


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("PORTICO_ON", "on", "one of true, 1, yes, false, 0, no"),
        ("PORTICO_PORT", "http", "a whole number, from 1 to 65535"),
        ("PORTICO_PORT", "0", "a whole number, from 1 to 65535"),
        ("PORTICO_PORT", "65536", "a whole number, from 1 to 65535"),
        ("PORTICO_MODE", "Fast", "one of fast, safe"),
        ("PORTICO_COLOUR", "green", "one of red, blue"),
        ("PORTICO_LIMIT_SECONDS", "nan", "a number, >= 0.5"),
        ("PORTICO_LIMIT_SECONDS", "0.4", "a number, >= 0.5"),
    ],
)
def test_a_mistake_names_the_variable_what_was_given_and_what_is_allowed(name: str, text: str, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(Outer, {**MINIMAL, name: text})
    assert caught.value.problems == (f"{name}: got '{text}'; allowed: {allowed}",)


def test_all_mistakes_come_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load(Outer, {"PORTICO_PORT": "x", "PORTICO_LIMIT_SECONDS": "y", "PORTICO_MOD": "fast"})
    assert [line.split(":")[0] for line in caught.value.problems] == [
        "PORTICO_MOD",
        "PORTICO_KEY",
        "PORTICO_PORT",
        "PORTICO_LIMIT_SECONDS",
    ]
    assert all(line in str(caught.value) for line in caught.value.problems)


def test_a_wrong_secret_is_not_shown() -> None:
    with pytest.raises(ConfigError, match="PORTICO_KEY: got a secret that is not shown") as caught:
        load(Outer, {"PORTICO_KEY": "abc"})
    assert "abc" not in str(caught.value)


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    """Only the password of SMTP could; in containers every secret is a mounted file."""
    path = tmp_path / "key"
    path.write_text("long enough\n")
    assert load(Outer, {"PORTICO_KEY_FILE": str(path)}) == load(Outer, MINIMAL)
    path.write_text("abc")
    with pytest.raises(
        ConfigError, match="PORTICO_KEY: got a secret that is not shown; allowed: a secret, length >= 4"
    ):
        load(Outer, {"PORTICO_KEY_FILE": str(path)})


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"PORTICO_KEY": "long enough", "PORTICO_KEY_FILE": "{}/key"}, "PORTICO_KEY and PORTICO_KEY_FILE are both set"),
        ({"PORTICO_KEY_FILE": "{}/none"}, "PORTICO_KEY_FILE: the file '.*' cannot be read"),
        ({"PORTICO_KEY_FILE": "{}/empty"}, "PORTICO_KEY_FILE: the file '.*' is empty"),
        ({"PORTICO_KEY_FIEL": "{}/key"}, "PORTICO_KEY_FIEL: is not a variable; did you mean PORTICO_KEY_FILE?"),
        ({**MINIMAL, "PORTICO_NAME_FILE": "{}/key"}, None),
    ],
)
def test_files_of_secrets_that_are_wrong(tmp_path: Path, given: dict[str, str], problem: str | None) -> None:
    (tmp_path / "key").write_text("long enough")
    (tmp_path / "empty").write_text("\n")
    env = {name: value.format(tmp_path) for name, value in given.items()}
    if problem is None:  # a setting that is no secret has no file
        assert load(Outer, env).name == "one"
        return
    with pytest.raises(ConfigError, match=problem):
        load(Outer, env)


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load(Outer, {**MINIMAL, "PORTICO_PORT": "", "PORTICO_PROXY": " "}) == load(Outer, MINIMAL)
    with pytest.raises(ConfigError, match="PORTICO_KEY: is required but not set"):
        load(Outer, {"PORTICO_KEY": ""})


@pytest.mark.parametrize("typo", ["PORTICO_PROT", "PORTICO_PRT", "PORTICO_PORTS", "PORTICO_PONT"])
def test_a_slip_in_a_name_is_reported(typo: str) -> None:
    with pytest.raises(ConfigError, match=f"{typo}: is not a variable; did you mean PORTICO_PORT?"):
        load(Outer, {**MINIMAL, typo: "1"})


@pytest.mark.parametrize("name", ["PORTICO_OTHER_SERVICE_PORT", "PORTICO_HOST_NAME", "PROT", "PORTICO_FORK_PORT"])
def test_variables_of_others_are_left_alone(name: str) -> None:
    """The services share one environment, so a stranger with our prefix is no mistake."""
    load(Outer, {**MINIMAL, name: "1"})


def test_a_stranger_near_a_variable_that_is_set_is_no_slip() -> None:
    load(Outer, {**MINIMAL, "PORTICO_PORT": "1", "PORTICO_PORTS": "2"})


def test_fields_may_be_checked_against_each_other() -> None:
    @dataclass(frozen=True)
    class Range:
        low: int = setting("PORTICO_LOW", default=1)
        high: int = setting("PORTICO_HIGH", default=9)

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("PORTICO_LOW must not be over PORTICO_HIGH")

    with pytest.raises(ConfigError, match="Range: PORTICO_LOW must not be over PORTICO_HIGH"):
        load(Range, {"PORTICO_LOW": "10"})


def test_a_type_that_no_variable_can_hold_is_the_programmers_mistake() -> None:
    @dataclass(frozen=True)
    class Wrong:
        table: dict[str, str] = setting("PORTICO_TABLE")

    with pytest.raises(TypeError, match="dict"):
        load(Wrong, {})


def test_the_example_shows_each_variable_once_with_what_it_may_be() -> None:
    assert example(Inner, Outer) == (
        "# === The inside ===\n"
        "\n"
        "# How long it may take.\n"
        "# a number, >= 0.5 (default: 2.5)\n"
        "PORTICO_LIMIT_SECONDS=2.5\n"
        "\n\n"
        "# === The outside ===\n"
        "\n"
        "# Signs things.\n"
        "# a secret, length >= 4 (required)\n"
        "PORTICO_KEY=\n"
        "PORTICO_KEY_FILE=\n"
        "\n"
        "# Where to listen.\n"
        "# a whole number, from 1 to 65535 (default: 8080)\n"
        "PORTICO_PORT=8080\n"
        "\n"
        "# text (default: one)\n"
        "PORTICO_NAME=one\n"
        "\n"
        "# one of true, 1, yes, false, 0, no (default: true)\n"
        "PORTICO_ON=true\n"
        "\n"
        "# a path (default: data)\n"
        "PORTICO_FOLDER=data\n"
        "\n"
        "# one of fast, safe (default: safe)\n"
        "PORTICO_MODE=safe\n"
        "\n"
        "# one of red, blue (default: red)\n"
        "PORTICO_COLOUR=red\n"
        "\n"
        "# comma-separated list, each text (default: a,b)\n"
        "PORTICO_HOSTS=a,b\n"
        "\n"
        "# text (optional)\n"
        "PORTICO_PROXY=\n"
        "\n"
        "# a secret (optional)\n"
        "PORTICO_MAIL_PASSWORD=\n"
        "PORTICO_MAIL_PASSWORD_FILE=\n"
    )


def test_the_example_copied_as_it_is_means_the_defaults() -> None:
    lines = [line for line in example(Outer).splitlines() if line and not line.startswith("#")]
    copied = dict(line.split("=", 1) for line in lines)
    assert load(Outer, copied | MINIMAL) == load(Outer, MINIMAL)


def test_the_description_masks_secrets() -> None:
    described = describe(load(Outer, {**MINIMAL, "PORTICO_MAIL_PASSWORD": "hidden"}))
    assert described["PORTICO_KEY"] == described["PORTICO_MAIL_PASSWORD"] == "***"
    assert described["PORTICO_LIMIT_SECONDS"] == "2.5"
    assert described["PORTICO_PROXY"] == ""


def test_a_secret_shows_itself_to_reveal_alone() -> None:
    secret = Secret("hush")
    shown: list[Any] = [repr(secret), str(secret), f"{secret}", f"{secret:>8}", f"{secret!r}", "%s" % secret]  # noqa: UP031
    assert not any("hush" in each for each in shown)
    assert b"hush" not in pickle.dumps(secret)
    assert secret.reveal() == "hush"


def test_copies_of_settings_keep_their_secrets() -> None:
    """A copy is made by pickling by default, which would put the mask in the secret's place."""
    settings = load(Outer, MINIMAL)
    assert copy.deepcopy(settings).key.reveal() == copy.copy(settings.key).reveal() == "long enough"
    assert asdict(settings)["key"].reveal() == "long enough"


def test_secrets_compare_by_value() -> None:
    assert Secret("ä") == Secret("ä") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")
