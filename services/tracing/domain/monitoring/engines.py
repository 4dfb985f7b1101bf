"""The metrics of each kind of inference server: which names it has, and what becomes of them.

vLLM: the names of its V1 engine first, then those of earlier versions. llama.cpp: those of llama-server with --metrics.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.tracing.domain.monitoring.exposition import Samples
from services.tracing.domain.monitoring.readings import (
    START_TIME,
    Poll,
    Readings,
    histogram,
    percent,
    ratio,
    total,
)

_MAX_MODELS = 100


@dataclass(frozen=True, slots=True)
class Engine:
    """`gauges` and `counters` (histograms among them) name all metrics that `read` looks at."""

    gauges: tuple[str, ...]
    counters: tuple[str, ...]
    read: Callable[[Poll], Readings]

    @property
    def wanted(self) -> tuple[str, ...]:
        return (*self.gauges, *self.counters, START_TIME)


_V_RUNNING, _V_WAITING = "vllm:num_requests_running", "vllm:num_requests_waiting"
_V_KV = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
_V_CPU = ("vllm:cpu_cache_usage_perc",)
_V_PROMPT, _V_GENERATION = ("vllm:prompt_tokens_total",), ("vllm:generation_tokens_total",)
_V_PROMPT_GAUGE = ("vllm:avg_prompt_throughput_toks_per_s",)
_V_GENERATION_GAUGE = ("vllm:avg_generation_throughput_toks_per_s",)
_V_SUCCESS = ("vllm:request_success_total",)
_V_HITS = ("vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total")
_V_QUERIES = ("vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total")
_V_FIRST = ("vllm:time_to_first_token_seconds",)
_V_PER_TOKEN = ("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds")
_V_LATENCY = ("vllm:e2e_request_latency_seconds",)
_V_QUEUE = ("vllm:request_queue_time_seconds",)


def _vllm(poll: Poll) -> Readings:
    first, first_p95 = histogram(poll, _V_FIRST)
    per_token, per_token_p95 = histogram(poll, _V_PER_TOKEN)
    latency, latency_p95 = histogram(poll, _V_LATENCY)
    hits = ratio(poll.increase(poll.first(_V_HITS)), poll.increase(poll.first(_V_QUERIES)))
    return Readings(
        num_requests_running=total(poll.samples.of(_V_RUNNING)),
        num_requests_waiting=total(poll.samples.of(_V_WAITING)),
        gpu_cache_usage_percent=percent(poll.first(_V_KV)),
        cpu_cache_usage_percent=percent(poll.first(_V_CPU)),
        prefix_cache_hit_percent=None if hits is None else 100.0 * hits,
        prompt_tokens_throughput=_throughput(poll, _V_PROMPT, _V_PROMPT_GAUGE),
        generation_tokens_throughput=_throughput(poll, _V_GENERATION, _V_GENERATION_GAUGE),
        requests_per_second=poll.rate(_V_SUCCESS),
        time_to_first_token_seconds=first,
        time_to_first_token_p95_seconds=first_p95,
        time_per_output_token_seconds=per_token,
        time_per_output_token_p95_seconds=per_token_p95,
        e2e_request_latency_seconds=latency,
        e2e_request_latency_p95_seconds=latency_p95,
        queue_time_seconds=histogram(poll, _V_QUEUE)[0],
        running_models=_models(poll.samples),
    )


_L_RUNNING, _L_WAITING = "llamacpp:requests_processing", "llamacpp:requests_deferred"
_L_KV = ("llamacpp:kv_cache_usage_ratio",)
_L_PROMPT, _L_GENERATION = ("llamacpp:prompt_tokens_total",), ("llamacpp:tokens_predicted_total",)
_L_GENERATION_SECONDS = ("llamacpp:tokens_predicted_seconds_total",)


def _llamacpp(poll: Poll) -> Readings:
    """llama.cpp counts no requests and measures no time to the first token. Its gauges of tokens per second are means
    of the time in which it computes, so the rates come from its counters."""
    generated = poll.increase(poll.first(_L_GENERATION))
    return Readings(
        num_requests_running=total(poll.samples.of(_L_RUNNING)),
        num_requests_waiting=total(poll.samples.of(_L_WAITING)),
        gpu_cache_usage_percent=percent(poll.first(_L_KV)),
        prompt_tokens_throughput=poll.rate(_L_PROMPT),
        generation_tokens_throughput=poll.rate(_L_GENERATION),
        time_per_output_token_seconds=ratio(poll.increase(poll.first(_L_GENERATION_SECONDS)), generated),
        running_models=_models(poll.samples),
    )


def _throughput(poll: Poll, counter: tuple[str, ...], gauge: tuple[str, ...]) -> float | None:
    """The rate of the counter, or the gauge of servers that have no such counter."""
    return poll.rate(counter) if poll.first(counter) else total(poll.first(gauge))


def _models(samples: Samples) -> tuple[str, ...]:
    """Names of the models in the labels of all samples."""
    names = {sample.labels.get("model_name", "") for found in samples.by_name.values() for sample in found}
    return tuple(sorted(names - {""})[:_MAX_MODELS])


ENGINES: Mapping[str, Engine] = {
    "vllm": Engine(
        (_V_RUNNING, _V_WAITING, *_V_KV, *_V_CPU, *_V_PROMPT_GAUGE, *_V_GENERATION_GAUGE),
        (
            *_V_PROMPT,
            *_V_GENERATION,
            *_V_SUCCESS,
            *_V_HITS,
            *_V_QUERIES,
            *_V_FIRST,
            *_V_PER_TOKEN,
            *_V_LATENCY,
            *_V_QUEUE,
        ),
        _vllm,
    ),
    "llamacpp": Engine(
        (_L_RUNNING, _L_WAITING, *_L_KV), (*_L_PROMPT, *_L_GENERATION, *_L_GENERATION_SECONDS), _llamacpp
    ),
}
"""Kinds of servers, by the name that the API gives them."""
