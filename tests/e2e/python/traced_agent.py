"""An agent that is instrumented as its users would: calls of a model, with a tool and with an error, whose spans go to
Portico. A program of its own, because instrumentations patch the libraries for as long as their process lives."""

import os
import sys
from collections.abc import Callable
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}


def calls() -> None:
    """A call with a tool's result in it, and one that fails, in one trace."""
    import openai

    client = openai.OpenAI(max_retries=0)
    messages: Any = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Weather in Rome?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "sun"},
    ]
    with trace.get_tracer("test").start_as_current_span("agent run"):
        client.chat.completions.create(model="echo", messages=messages, tools=TOOLS)
        try:
            client.chat.completions.create(model="no-such-model", messages=messages[:2])
        except openai.NotFoundError:
            return
    raise AssertionError("a model that is not there answered")


def openinference(provider: TracerProvider) -> None:
    from openinference.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(tracer_provider=provider)
    calls()


def openllmetry(provider: TracerProvider) -> None:
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(tracer_provider=provider)
    calls()


def langchain(provider: TracerProvider) -> None:
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI
    from openinference.instrumentation.langchain import LangChainInstrumentor

    LangChainInstrumentor().instrument(tracer_provider=provider)

    @tool
    def weather(city: str) -> str:
        """Weather of a city."""
        return "sun"

    with trace.get_tracer("test").start_as_current_span("agent run"):
        chat = ChatOpenAI(model="echo", use_responses_api=False)
        chat.bind_tools([weather]).invoke([("system", "Be short."), ("user", "Weather in Rome?")])
        weather.invoke({"city": "Rome"})
        try:
            ChatOpenAI(model="no-such-model", max_retries=0, use_responses_api=False).invoke("Weather in Rome?")
        except Exception as error:
            assert "no-such-model" in str(error)  # noqa: PT017  # this is no test, but a program that one starts


def openai_agents(provider: TracerProvider) -> None:
    from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner, function_tool
    from openai import AsyncOpenAI
    from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor

    OpenAIAgentsInstrumentor().instrument(tracer_provider=provider)

    @function_tool
    def weather(city: str) -> str:
        """Weather of a city."""
        return "sun"

    def agent(model: str) -> Agent:
        chosen = OpenAIChatCompletionsModel(model=model, openai_client=AsyncOpenAI(max_retries=0))
        calling = ModelSettings(tool_choice="required")  # for the first answer alone, as the SDK has it
        return Agent(name="Helper", instructions="Be short.", tools=[weather], model=chosen, model_settings=calling)

    with trace.get_tracer("test").start_as_current_span("agent run"):
        Runner.run_sync(agent("echo"), "Weather in Rome?", max_turns=3)
        try:
            Runner.run_sync(agent("no-such-model"), "Weather in Rome?")
        except Exception as error:
            assert "no-such-model" in str(error)  # noqa: PT017


AGENTS: dict[str, Callable[[TracerProvider], None]] = {
    each.__name__: each for each in (openinference, openllmetry, langchain, openai_agents)
}


def main(agent: str, exporter: str) -> None:
    sender: SpanExporter = (
        GrpcExporter(insecure=True) if exporter == "grpc" else HttpExporter(compression=Compression.Gzip)
    )
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(sender))
    trace.set_tracer_provider(provider)
    AGENTS[agent](provider)
    provider.shutdown()


if __name__ == "__main__":
    os.environ.setdefault("OPENAI_API_KEY", "")
    main(*sys.argv[1:])
