import io
import logging
import timeit
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from core import context, logs
from core.config import Secret
from core.context import Identity, Kind, RequestContext
from core.tenancy import Project, Tenant

TOKEN = "ptc_eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1In0.c2lnbmF0dXJl"


class Output(io.BytesIO):
    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.getvalue().splitlines()]

    def only(self) -> dict[str, Any]:
        (line,) = self.lines()
        return line


@pytest.fixture
def output() -> Output:
    output = Output()
    logs.configure("auth", "info", "json", stream=output)
    return output


def test_a_line_has_its_event_fields_and_origin(output: Output) -> None:
    logs.get("core.test").info("call finished", method="Chat", ms=1.5, ok=True, none=None)
    line = output.only()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "call finished",
        "method": "Chat",
        "ms": 1.5,
        "ok": True,
        "none": None,
        "level": "info",
        "module": "core.test",
        "service": "auth",
    }


async def test_a_line_says_whose_request_it_was(output: Output) -> None:
    caller = Identity(Project(Tenant("acme"), "p1"), "user-1", Kind.API, frozenset(), "t1", 0.0, None)
    context.bind(RequestContext(request_id="r1", identity=caller, token=TOKEN))
    logs.get("test").info("hello")
    line = output.only()
    assert [line[key] for key in ("request_id", "tenant", "project", "subject")] == ["r1", "acme", "p1", "user-1"]
    assert "eyJ" not in str(line)


async def test_a_line_before_authentication_has_the_request_id(output: Output) -> None:
    context.bind(RequestContext(request_id="r1"))
    logs.get("test").info("hello")
    assert output.only()["request_id"] == "r1"
    assert "tenant" not in output.only()


@pytest.mark.parametrize(
    "key",
    [
        *("password", "new_password", "passwordHash", "token", "access_token", "refreshToken", "Authorization"),
        *("secret", "client_secret", "secret_key", "api_key", "apiKey", "X-Api-Key", "openai.api_key", "APIKEY"),
        *("cookie", "Set-Cookie", "credentials", "credential", "private_key", "sealing_keys", "jwt"),
    ],
)
def test_fields_that_name_secrets_are_masked_at_any_depth(output: Output, key: str) -> None:
    deep: Any = {key: "hidden"}
    for _ in range(40):
        deep = {"inside": [deep, (deep,)][:1]}
    logs.get("test").info("hello", deep=deep, **{key: {"also": "hidden"}})
    assert b"hidden" not in output.getvalue()
    assert output.only()[key] == "***"


@pytest.mark.parametrize("key", ["tokens", "prompt_tokens", "max_tokens", "token_id", "key", "cache_key", "secretary"])
def test_fields_that_only_sound_alike_are_shown(output: Output, key: str) -> None:
    logs.get("test").info("hello", **{key: 12})
    assert output.only()[key] == 12


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"got {TOKEN}, sorry", "got ptc_***, sorry"),
        ("key sk-proj-abcDEF123_456 refused", "key sk-*** refused"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("jwt=eyJhbGciOi.eyJzdWIi.c2ln", "jwt=eyJ***"),
        ("redis://user:pw@cache:6379/0", "redis://***@cache:6379/0"),
        ("a risk-assessment of the task-list, see https://example.com/a@b", None),
    ],
)
def test_texts_that_look_like_credentials_are_masked(output: Output, text: str, shown: str | None) -> None:
    logs.get("test").info(text, field=text, nested=[{"x": text}])
    line = output.only()
    assert line["event"] == line["field"] == line["nested"][0]["x"] == (shown or text)


def test_tracebacks_are_written_without_their_secrets_and_locals(output: Output) -> None:
    local = "value of a local"
    try:
        raise ValueError(f"refused {TOKEN}")
    except ValueError:
        logs.get("test").exception("failed")
    line = output.only()
    assert line["level"] == "error"
    assert "ValueError: refused ptc_***" in line["exception"]
    assert "Traceback" in line["exception"]
    assert "raise ValueError" in line["exception"]
    assert local not in line["exception"]


def test_an_error_as_a_field_shows_its_class(output: Output) -> None:
    logs.get("test").info("failed", error=KeyError("x"))
    assert output.only()["error"] == "KeyError('x')"


def test_long_texts_are_cut(output: Output) -> None:
    logs.get("test").info("hello", text="x" * 100_000)
    assert output.only()["text"] == "x" * 2000 + "... (100000 characters)"


def test_a_secret_across_the_cut_does_not_show_its_beginning(output: Output) -> None:
    """Only its end tells that it is one."""
    logs.get("test").info("hello", text="x" * 1980 + " redis://user:hidden-and-long@cache")
    assert "hidden" not in output.only()["text"]


def test_anything_can_be_a_field(output: Output) -> None:
    """A line that cannot be written would fail the request that wrote it."""

    @dataclass
    class Provider:
        name: str
        api_key: str

    class Unprintable:
        def __str__(self) -> str:
            raise ValueError

    cycle: list[Any] = []
    cycle.append(cycle)
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    logs.get("test").info(
        "hello",
        cycle=cycle,
        deep=deep,
        provider=Provider("openai", "hidden"),
        secret_object=Secret("hidden"),
        boxed=[Secret("hidden")],
        path=Path("/a"),
        raw=b"hidden",
        big=2**80,
        unprintable=Unprintable(),
        surrogate="\ud800",
        keys={1: "one", None: "none"},
        kinds={Kind.API},
        nan=float("nan"),
    )
    line = output.only()
    assert b"hidden" not in output.getvalue()
    assert line["provider"] == {"name": "openai", "api_key": "***"}
    assert line["boxed"] == ["***"]
    assert line["cycle"] == ["..."]
    assert line["big"] == str(2**80)
    assert line["unprintable"] == "<Unprintable>"
    assert line["surrogate"] == "?"
    assert line["raw"] == "<6 bytes>"
    assert line["path"] == "/a"
    assert line["keys"] == {"1": "one", "None": "none"}


def test_a_field_of_its_own_cannot_forge_a_line(output: Output) -> None:
    logs.get("test").info("hello\n{}", text="a\n{}")
    assert len(output.getvalue().splitlines()) == 1


def test_a_closed_stream_fails_nobody(output: Output) -> None:
    output.close()
    logs.get("test").info("hello")


def test_the_standard_library_takes_the_same_way(output: Output) -> None:
    logger = logging.getLogger("some.driver")
    logger.warning("refused %s", TOKEN)
    logger.debug("not written")
    logger.log(logging.INFO + 5, "between")
    try:
        raise ValueError("broken")
    except ValueError:
        logger.exception("failed")
    refused, between, failed = output.lines()
    assert (refused["event"], refused["level"], refused["module"]) == ("refused ptc_***", "warning", "some.driver")
    assert refused["service"] == "auth"
    assert between["level"] == "info"
    assert "ValueError: broken" in failed["exception"]


def test_drivers_do_not_write_their_debug_lines() -> None:
    """Drivers write statements with their values there."""
    output = Output()
    logs.configure("auth", "debug", stream=output)
    logging.getLogger("some.driver").debug("INSERT ... hidden")
    logs.get("ours").debug("shown")
    assert output.only()["event"] == "shown"


def test_lines_below_the_level_are_not_written() -> None:
    output = Output()
    logs.configure("auth", "warning", stream=output)
    log = logs.get("test")
    log.debug("no")
    log.info("no")
    logging.getLogger("x").info("no")
    log.warning("yes")
    log.error("yes")
    assert [line["event"] for line in output.lines()] == ["yes", "yes"]


def test_a_line_below_the_level_is_not_even_built(output: Output) -> None:
    class Costly:
        def __str__(self) -> str:
            raise AssertionError("built and thrown away")

    logs.get("test").debug("hello", field=Costly())
    assert output.getvalue() == b""


def test_a_logger_made_before_the_set_up_follows_it() -> None:
    log = logs.get("early")
    output = Output()
    logs.configure("auth", stream=output)
    log.info("hello")
    assert output.only()["service"] == "auth"


def test_a_new_set_up_reaches_loggers_in_use(output: Output) -> None:
    log = logs.get("early")
    log.debug("no")
    again = Output()
    logs.configure("rag", "debug", stream=again)
    log.debug("yes")
    assert output.getvalue() == b""
    assert again.only()["service"] == "rag"


def test_pretty_is_for_people() -> None:
    output = Output()
    logs.configure("auth", format="pretty", stream=output)
    try:
        raise ValueError("broken")
    except ValueError:
        logs.get("test").exception("failed", token="hidden", text="\ud800")
    text = output.getvalue().decode()
    assert "failed" in text
    assert "ValueError: broken" in text
    assert "hidden" not in text
    assert "\x1b[" not in text


if __name__ == "__main__":
    logs.configure("bench", stream=io.BytesIO())
    log = logs.get("bench")
    for name, call in {
        "disabled": lambda: log.debug("x", a=1),
        "enabled": lambda: log.info("x", a=1, b="text"),
    }.items():
        print(name, f"{timeit.timeit(call, number=100_000) * 10:.2f} microseconds")
