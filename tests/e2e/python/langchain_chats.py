"""ChatOpenAI and ChatAnthropic as their users write them. Prints what came back as JSON. A program of its own, because
LangChain keeps connections for as long as its process lives."""

import asyncio
import json
import os
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr


@tool
def weather(city: str) -> str:
    """Weather of a city."""
    return "sun"


async def ask(chat: Any) -> dict[str, Any]:
    """A call of a tool, and then the streamed answer."""
    bound = chat.bind_tools([weather])
    talk: list[Any] = [HumanMessage("Weather in Rome?")]
    asked = await bound.ainvoke(talk)
    talk += [asked, await weather.ainvoke(asked.tool_calls[0])]
    streamed = [piece async for piece in bound.astream(talk)]
    return {
        "call": asked.tool_calls[0]["args"],
        "read": asked.usage_metadata["input_tokens"],
        "text": "".join(piece.text for piece in streamed),
    }


async def main() -> None:
    url, key = os.environ["PORTICO_URL"], SecretStr(os.environ["PORTICO_TOKEN"])
    answers = {}
    for model in os.environ["PORTICO_MODELS"].split(","):
        openai = ChatOpenAI(model=model, base_url=f"{url}/v1", api_key=key, use_responses_api=False)
        anthropic = ChatAnthropic(model_name=model, base_url=url, api_key=key, timeout=60, stop=None)
        answers[model] = {"openai": await ask(openai), "anthropic": await ask(anthropic)}
    print(json.dumps(answers))


asyncio.run(main())
