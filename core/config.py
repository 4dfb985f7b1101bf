"""Typed settings from a mapping of variables, usually the environment of the process.

    @dataclass(frozen=True)
    class ServerSettings:
        '''The gRPC server.'''

        port: int = setting("PORTICO_GRPC_PORT", default=50051, min=1, max=65535, help="Port to listen on.")
        key: Secret = setting("PORTICO_KEY", help="Signs sessions.")

    settings = load(ServerSettings, os.environ)  # only a service's __main__ reads the environment

Types: str, int, float, bool, Path, Secret, Literal, Enum, tuple[X, ...] (comma-separated), X | None, and nested
dataclasses of the same kind, which stand before the class's own settings. Durations are floats in seconds, in fields
named `*_seconds`. A variable that is empty counts as not set, so a copied `.env.example` means its defaults. A secret
may also lie in a file, whose path `<variable>_FILE` gives.
"""

import math
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from difflib import SequenceMatcher
from enum import Enum
from hmac import compare_digest
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

PREFIX = "PORTICO_"
FILE_SUFFIX = "_FILE"
_MASK = "***"
_METADATA = "portico.setting"

T = TypeVar("T")


class ConfigError(Exception):
    """All errors of the configuration, one line for each variable. Holds no secret."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("The configuration cannot be used:\n" + "\n".join(f"  {line}" for line in self.problems))


class Secret:
    """A text that shows itself to `reveal()` alone: printing, formatting and pickling give a mask."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"Secret({_MASK})"

    def __str__(self) -> str:
        return _MASK

    def __format__(self, spec: str) -> str:
        return format(_MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> tuple[type["Secret"], tuple[str]]:
        return Secret, (_MASK,)

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        return self  # copying would otherwise go through pickling, and dataclasses.asdict copies


@dataclass(frozen=True, slots=True)
class _Setting:
    env: str
    help: str
    min: float | None
    max: float | None


def setting(
    env: str, *, default: Any = MISSING, help: str = "", min: float | None = None, max: float | None = None
) -> Any:
    """A field that is read from the variable `env`; without a default it is required.

    `min` and `max` bound a number, or the length of a text, secret or tuple.
    """
    declared = {_METADATA: _Setting(env, help, min, max)}
    return field(default=default, kw_only=True, metadata=declared)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Conversion of a text to a value. `parse` raises ValueError; `allowed` finishes the sentence "allowed: ..."."""

    parse: Callable[[str], Any]
    allowed: str
    secret: bool = False
    sized: bool = False


@dataclass(frozen=True, slots=True)
class _Variable:
    """One setting of a class, its type understood."""

    field: str
    default: Any
    declared: _Setting
    reader: _Reader

    @property
    def required(self) -> bool:
        return self.default is MISSING

    @property
    def allowed(self) -> str:
        low, high = self.declared.min, self.declared.max
        if low is None and high is None:
            return self.reader.allowed
        bounds = f"from {low} to {high}" if None not in (low, high) else f">= {low}" if high is None else f"<= {high}"
        return f"{self.reader.allowed}, {'length ' if self.reader.sized else ''}{bounds}"

    def read(self, text: str) -> Any:
        """Parse the variable's text. Raises ValueError where it is not allowed."""
        value = self.reader.parse(text)
        size = value
        if self.reader.sized:
            size = len(value.reveal() if isinstance(value, Secret) else value)
        low, high = self.declared.min, self.declared.max
        if (low is not None and size < low) or (high is not None and size > high):
            raise ValueError("out of bounds")
        return value


_BOOLS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def _choice(choices: Mapping[str, Any]) -> _Reader:
    def parse(text: str) -> Any:
        if text not in choices:
            raise ValueError("not a choice")
        return choices[text]

    return _Reader(parse, "one of " + ", ".join(choices))


_READERS: dict[Any, _Reader] = {
    str: _Reader(str, "text", sized=True),
    int: _Reader(int, "a whole number"),
    float: _Reader(_finite, "a number"),
    bool: _Reader(lambda text: _choice(_BOOLS).parse(text.lower()), _choice(_BOOLS).allowed),
    Path: _Reader(Path, "a path"),
    Secret: _Reader(Secret, "a secret", secret=True, sized=True),
}


def _reader(hint: Any) -> _Reader:
    if hint in _READERS:
        return _READERS[hint]
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        inner = [arg for arg in args if arg is not types.NoneType]
        if len(inner) == 1:
            return _reader(inner[0])
    elif origin is Literal:
        return _choice({str(arg): arg for arg in args})
    elif origin is tuple and args[1:] == (...,):
        item = _reader(args[0])
        return _Reader(
            lambda text: tuple(item.parse(part.strip()) for part in text.split(",") if part.strip()),
            f"comma-separated list, each {item.allowed}",
            secret=item.secret,
            sized=True,
        )
    elif isinstance(hint, type) and issubclass(hint, Enum):
        return _choice({str(member.value): member for member in hint})
    raise TypeError(f"a setting cannot be of type {hint}")


def _variables(cls: type) -> Iterator[_Variable]:
    hints = get_type_hints(cls)
    for item in fields(cls):
        if declared := item.metadata.get(_METADATA):
            yield _Variable(item.name, item.default, declared, _reader(hints[item.name]))


def _nested(cls: type) -> Iterator[tuple[str, type]]:
    hints = get_type_hints(cls)
    for item in fields(cls):
        if _METADATA not in item.metadata and is_dataclass(hints[item.name]):
            yield item.name, hints[item.name]


def _classes(cls: type) -> Iterator[type]:
    yield cls
    for _, inner in _nested(cls):
        yield from _classes(inner)


def load(cls: type[T], env: Mapping[str, str]) -> T:
    """Read `cls` from the variables. Raises ConfigError with every mistake at once.

    A class may check its fields against each other in `__post_init__`: its ValueError becomes one of the mistakes.
    """
    problems = _misspelt(cls, env)
    value = _load(cls, env, problems)
    if problems:
        raise ConfigError(problems)
    return value


def _load(cls: type[T], env: Mapping[str, str], problems: list[str]) -> T:
    before = len(problems)
    values: dict[str, Any] = {}
    for variable in _variables(cls):
        name = variable.declared.env
        try:
            text = read_secret(name, env) if variable.reader.secret else env.get(name, "").strip()
        except ConfigError as error:
            problems += error.problems
            continue
        if text:
            try:
                values[variable.field] = variable.read(text)
            except ValueError:
                given = "a secret that is not shown" if variable.reader.secret else repr(text[:80])
                problems.append(f"{name}: got {given}; allowed: {variable.allowed}")
        elif variable.required:
            other = f", or its file as {name}{FILE_SUFFIX}" if variable.reader.secret else ""
            problems.append(f"{name}: is required but not set; allowed: {variable.allowed}{other}")
    for field_name, inner in _nested(cls):
        values[field_name] = _load(inner, env, problems)
    if len(problems) == before:
        try:
            return cls(**values)
        except ValueError as error:
            problems.append(f"{cls.__name__}: {error}")
    return None  # type: ignore[return-value]  # `load` raises before anyone sees it


def read_secret(name: str, env: Mapping[str, str]) -> str:
    """The text of a secret: of the variable `name`, or of the file that `<name>_FILE` names; empty where neither is
    set. Raises ConfigError."""
    text, path = env.get(name, "").strip(), env.get(name + FILE_SUFFIX, "").strip()
    if not path:
        return text
    if text:
        raise ConfigError([f"{name} and {name}{FILE_SUFFIX} are both set: set one of them"])
    try:
        found = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError([f"{name}{FILE_SUFFIX}: the file {path[:200]!r} cannot be read"]) from None
    if not found:
        raise ConfigError([f"{name}{FILE_SUFFIX}: the file {path[:200]!r} is empty"])
    return found


def _names(variable: _Variable) -> tuple[str, ...]:
    """The names by which a variable may be set."""
    name = variable.declared.env
    return (name, name + FILE_SUFFIX) if variable.reader.secret else (name,)


def _misspelt(cls: type, env: Mapping[str, str]) -> list[str]:
    """Variables with our prefix that nobody reads and that are one slip away from one that is not set.

    Others with the prefix are left alone: the services share one environment, and each knows only its own.
    """
    known = {name for each in _classes(cls) for variable in _variables(each) for name in _names(variable)}
    strangers = sorted(name for name in env if name.startswith(PREFIX) and name not in known)
    return [
        f"{name}: is not a variable; did you mean {meant}?"
        for name in strangers
        for meant in sorted(known - env.keys())
        if _one_slip(name, meant)
    ]


def _one_slip(a: str, b: str) -> bool:
    """Return whether the two differ by one letter: replaced, missing, added, or two swapped."""
    same = sum(block.size for block in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks())
    return len(a) + len(b) - 2 * same <= 2


def example(*classes: type) -> str:
    """The text of `.env.example`: every variable once, under its class, with help, allowed values and default."""
    seen: set[str] = set()
    groups = []
    for cls in (each for outer in classes for each in _classes(outer)):
        fresh = [variable for variable in _variables(cls) if variable.declared.env not in seen]
        seen |= {variable.declared.env for variable in fresh}
        if fresh:
            groups.append("\n\n".join([f"# === {_title(cls)} ===", *map(_entry, fresh)]))
    return "\n\n\n".join(groups) + "\n"


def _title(cls: type) -> str:
    doc = cls.__doc__ or ""
    generated = doc.startswith(f"{cls.__name__}(")  # what dataclass writes when the class has none
    return cls.__name__ if generated or not doc else doc.strip().splitlines()[0].rstrip(".")


def _entry(variable: _Variable) -> str:
    shown = "" if variable.required or variable.reader.secret else _plain(variable.default)
    need = "required" if variable.required else f"default: {shown}" if shown else "optional"
    lines = [f"# {variable.declared.help}"] if variable.declared.help else []
    return "\n".join([*lines, f"# {variable.allowed} ({need})", *(f"{name}={shown}" for name in _names(variable))])


def _plain(value: Any) -> str:
    """A value as it would be written in the environment."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(_plain, value))
    return str(value.value if isinstance(value, Enum) else value)


def describe(settings: Any) -> dict[str, str]:
    """Return the settings in force, by variable, with secrets masked: for a line of the log when a service starts."""
    found = {each.declared.env: _plain(getattr(settings, each.field)) for each in _variables(type(settings))}
    for name, _ in _nested(type(settings)):
        found |= describe(getattr(settings, name))
    return found
