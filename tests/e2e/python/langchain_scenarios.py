"""Images, structured output, thinking, errors, broken streams and retries with ChatOpenAI and ChatAnthropic, as their
users write them. The question says what the provider does. Prints what came back as JSON. A program of its own, because
LangChain keeps connections for as long as its process lives."""

import asyncio
import json
import os
from collections.abc import Callable
from typing import Any

import anthropic
import openai
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr


class City(BaseModel):
    """A city."""

    city: str


def thought_and_text(message: Any) -> list[str]:
    thoughts = [each["reasoning"] for each in message.content_blocks if each["type"] == "reasoning"]
    return ["".join(thoughts), str(message.text)]


async def scenarios(make: Callable[..., Any], name: str) -> dict[str, Any]:
    """Answers to each question, by its scenario."""
    chat = make(max_retries=0)
    image = {"type": "image", "base64": os.environ["PORTICO_PNG"], "mime_type": "image/png"}
    asked = HumanMessage(content=[{"type": "text", "text": "Which city?"}, image])
    city = await chat.with_structured_output(City).ainvoke([asked])
    thinking = chat.bind(thinking={"type": "adaptive"}) if name == "anthropic" else chat
    whole = await thinking.ainvoke("Think")
    streamed: Any = None
    async for piece in thinking.astream("Think"):
        streamed = piece if streamed is None else streamed + piece
    text, failed = "", False
    try:
        async for piece in chat.astream("Break"):
            text += piece.text
    except (openai.APIError, anthropic.APIError):
        failed = True
    refused = {}
    for status in (400, 401, 429, 529):
        try:
            await chat.ainvoke(f"Refuse {status}")
        except (openai.APIStatusError, anthropic.APIStatusError) as error:
            refused[status] = error.status_code
    again = await make(max_retries=2).ainvoke(f"Again, langchain {name}")
    return {
        "image": city.model_dump(),
        "thinking": [thought_and_text(whole), thought_and_text(streamed)],
        "broken": {"text": text, "failed": failed},
        "again": again.text,
        "refused": refused,
    }


async def main() -> None:
    url, key = os.environ["PORTICO_URL"], SecretStr(os.environ["PORTICO_TOKEN"])
    answers = {}
    for model in os.environ["PORTICO_MODELS"].split(","):

        def with_openai(model: str = model, **more: Any) -> Any:
            return ChatOpenAI(model=model, base_url=f"{url}/v1", api_key=key, use_responses_api=False, **more)

        def with_anthropic(model: str = model, **more: Any) -> Any:
            return ChatAnthropic(model_name=model, base_url=url, api_key=key, timeout=60, stop=None, **more)

        answers[model] = {
            "openai": await scenarios(with_openai, "openai"),
            "anthropic": await scenarios(with_anthropic, "anthropic"),
        }
    print(json.dumps(answers))


asyncio.run(main())
