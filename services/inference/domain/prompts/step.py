"""The step that makes messages of the prompt that a chat request names, in OpenAI's form:

"prompt": {"id": "greeting", "version": "2", "variables": {"name": "Ada"}}

or, in place of the version, `"environment": "prod"`. The rendered text becomes the first message, of the role system;
of a request without messages it is the only one, of the role user. The provider sees the messages alone.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.errors import InvalidInput, PermissionDenied, PorticoError
from core.permissions import allows
from core.tenancy import Project
from services.inference.domain.catalogue.models import LLM, Model
from services.inference.domain.pipeline.answer import Answer
from services.inference.domain.pipeline.exchange import Body, Exchange
from services.inference.domain.pipeline.requests import PROMPT
from services.inference.domain.pipeline.step import Next, Step
from services.inference.domain.prompts.compiled import CompiledPrompts
from services.inference.domain.prompts.prompts import Wanted

SCOPE: Final = "prompts:read"
"""Token scope that is needed to name a prompt: a model may be asked to repeat it."""
_MEMBERS = frozenset({"id", "version", "environment", "variables"})
_FIELDS = {
    "key": "prompt.id",
    "version": "prompt.version",
    "environment": "prompt.environment",
    "data": "prompt.variables",
}
"""Names in a request of the fields of a rendering."""


@dataclass(frozen=True, slots=True)
class PromptUse:
    """The prompt that a request names."""

    id: str
    wanted: Wanted
    variables: Mapping[str, Any]


class PromptStep:
    """The step. It does nothing for a request that names no prompt."""

    def __init__(self, prompts: CompiledPrompts) -> None:
        self._prompts = prompts

    def of(self, project: Project, model: Model) -> Step | None:
        """The step for a model: chats alone have prompts."""
        return self if model.category == LLM else None

    def __call__(self, exchange: Exchange, call_next: Next) -> Awaitable[Answer]:
        if PROMPT not in exchange.request:
            return call_next(exchange)
        return self._answer(exchange, call_next)

    async def _answer(self, exchange: Exchange, call_next: Next) -> Answer:
        return await call_next(await self.applied(exchange))

    async def applied(self, exchange: Exchange) -> Exchange:
        """The exchange whose request names no prompt, but has its text. Raises PorticoError."""
        if PROMPT not in exchange.request:
            return exchange
        request = dict(exchange.request)
        use = _use(request.pop(PROMPT))
        if use is not None:
            request["messages"] = await self._messages(exchange, use, request)
        return exchange.with_request(request)

    async def _messages(self, exchange: Exchange, use: PromptUse, request: Body) -> list[Any]:
        identity = exchange.call.identity
        if not allows(identity.scopes, SCOPE):
            raise PermissionDenied(
                f"A request that names a prompt needs the scope {SCOPE}.",
                reason="MISSING_SCOPE",
                field=PROMPT,
                metadata={"scope": SCOPE},
            )
        try:
            template = await self._prompts.find(identity.project, use.id, use.wanted)
            text = await template.render_fairly(use.variables)
        except PorticoError as error:
            error.field = _FIELDS.get(error.field or "", error.field)
            raise
        messages = request.get("messages") or []
        if text.strip():
            return [{"role": "system" if messages else "user", "content": text}, *messages]
        if not messages:
            raise InvalidInput(
                "The prompt rendered to an empty text, and there are no messages. Send its variables, or messages.",
                reason="EMPTY_PROMPT",
                field="prompt.variables",
            )
        return list(messages)


def _use(given: object) -> PromptUse | None:
    """None where there is no prompt, but null. Raises InvalidInput, naming the field."""
    if given is None:
        return None
    if not isinstance(given, dict):
        raise _invalid(PROMPT, 'must be an object such as {"id": "greeting", "variables": {"name": "Ada"}}')
    if unknown := sorted(given.keys() - _MEMBERS):
        raise _invalid(f"prompt.{unknown[0]}", f"is not known; a prompt has {', '.join(sorted(_MEMBERS))}")
    key, environment, variables = given.get("id"), given.get("environment"), given.get("variables")
    if not isinstance(key, str) or not key:
        raise _invalid("prompt.id", "must be the key of a prompt")
    if not isinstance(environment, str | None):
        raise _invalid("prompt.environment", "must be a string")
    if not isinstance(variables, dict | None):
        raise _invalid("prompt.variables", "must be an object")
    return PromptUse(key, Wanted(_number(given.get("version")), environment or ""), variables or {})


def _number(version: object) -> int | None:
    """The number of a version; OpenAI's clients write it as a text."""
    if isinstance(version, str) and version.isascii() and version.isdigit() and len(version) < 10:
        version = int(version)
    if version is None or (type(version) is int and version < 2**31):
        return version
    raise _invalid("prompt.version", "must be the number of a version")


def _invalid(field: str, what: str) -> InvalidInput:
    return InvalidInput(f"{field} {what}.", field=field)
