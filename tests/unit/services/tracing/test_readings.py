"""Metrics of inference servers: from the text of two polls to rates, means, quantiles and percent."""

import pytest

from services.tracing.domain.monitoring import exposition
from services.tracing.domain.monitoring.engines import ENGINES
from services.tracing.domain.monitoring.readings import Counters, Poll, Readings, counters
from tests.support.fake_vllm import FakeVllm

OLDER = """
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{model_name="m"} 3.0
# TYPE vllm:gpu_cache_usage_perc gauge
vllm:gpu_cache_usage_perc{model_name="m"} 0.25
vllm:cpu_cache_usage_perc{model_name="m"} 0.5
vllm:avg_prompt_throughput_toks_per_s{model_name="m"} 120.5
vllm:avg_generation_throughput_toks_per_s{model_name="m"} 33.0
vllm:time_per_output_token_seconds_count{model_name="m"} COUNT
vllm:time_per_output_token_seconds_sum{model_name="m"} SUM
"""
LLAMA = """
# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed.
# TYPE llamacpp:prompt_tokens_total counter
llamacpp:prompt_tokens_total PROMPT
# TYPE llamacpp:prompt_tokens_seconds gauge
llamacpp:prompt_tokens_seconds 999
# TYPE llamacpp:tokens_predicted_total counter
llamacpp:tokens_predicted_total PREDICTED
# TYPE llamacpp:tokens_predicted_seconds_total counter
llamacpp:tokens_predicted_seconds_total SECONDS
llamacpp:predicted_tokens_seconds nan
llamacpp:requests_processing 2
llamacpp:requests_deferred 5
"""


class Server:
    """A server's polls, one after the other."""

    def __init__(self, type: str = "vllm") -> None:
        self.engine = ENGINES[type]
        self.before: Counters | None = None
        self.at = 1000.0

    def poll(self, text: str | bytes, seconds: float = 10.0) -> Readings:
        self.at += seconds
        text = text.decode() if isinstance(text, bytes) else text
        samples = exposition.parse(text, self.engine.wanted)
        readings = self.engine.read(Poll(samples, self.at, self.before))
        self.before = counters(samples, self.at, self.engine.counters)
        return readings


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def vllm() -> FakeVllm:
    return FakeVllm()


def test_counters_become_rates_between_two_polls(server: Server, vllm: FakeVllm) -> None:
    """Series named `..._total` were skipped once, and counters taken for rates."""
    vllm.engine().generate(requests=1000, tokens=50_000)
    first = server.poll(vllm.text())
    assert (first.generation_tokens_throughput, first.requests_per_second) == (None, None)
    vllm.engine().generate(requests=20, tokens=5_000, prompt=100)
    second = server.poll(vllm.text(), seconds=10.0)
    assert second.generation_tokens_throughput == pytest.approx(500.0)
    assert second.prompt_tokens_throughput == pytest.approx(200.0)
    assert second.requests_per_second == pytest.approx(2.0)
    assert second.prefix_cache_hit_percent == pytest.approx(50.0)
    idle = server.poll(vllm.text())
    assert idle.generation_tokens_throughput == 0.0


def test_label_sets_are_summed_and_fractions_are_a_mean_in_percent(server: Server, vllm: FakeVllm) -> None:
    """The first label set alone was read once, and a fraction shown as percent."""
    one, two = vllm.engine("llama", "0"), vllm.engine("mistral", "1")
    one.set(running=3, waiting=1, cache=0.2)
    two.set(running=4, waiting=0, cache=0.6)
    server.poll(vllm.text())
    one.generate(requests=1, tokens=100)
    two.generate(requests=1, tokens=300)
    readings = server.poll(vllm.text(), seconds=10.0)
    assert (readings.num_requests_running, readings.num_requests_waiting) == (7.0, 1.0)
    assert readings.gpu_cache_usage_percent == pytest.approx(40.0)
    assert readings.generation_tokens_throughput == pytest.approx(40.0)
    assert readings.running_models == ("llama", "mistral")


def test_a_restart_counts_from_zero(server: Server, vllm: FakeVllm) -> None:
    vllm.engine().generate(requests=10, tokens=10_000)
    server.poll(vllm.text())
    restarted = FakeVllm()
    restarted.engine().generate(requests=1, tokens=500)
    assert server.poll(restarted.text(), seconds=10.0).generation_tokens_throughput == pytest.approx(50.0)


def test_a_restart_is_seen_by_the_start_of_the_process_where_a_counter_has_overtaken_its_old_value(
    server: Server,
) -> None:
    page = 'process_start_time_seconds {}\nvllm:generation_tokens_total{{model_name="m"}} {}\n'
    server.poll(page.format(100.0, 1000))
    assert server.poll(page.format(1005.0, 1500)).generation_tokens_throughput == pytest.approx(150.0)


def test_a_series_that_was_not_there_before_counts_from_zero(server: Server, vllm: FakeVllm) -> None:
    vllm.engine().generate(requests=1, tokens=100)
    server.poll(vllm.text())
    vllm.engine("new").generate(requests=5, tokens=400)
    assert server.poll(vllm.text(), seconds=10.0).generation_tokens_throughput == pytest.approx(40.0)


def test_histograms_are_of_the_window_and_not_of_the_servers_life(server: Server, vllm: FakeVllm) -> None:
    vllm.engine().generate(requests=10_000, tokens=1, latency=0.02)
    server.poll(vllm.text())
    vllm.engine().generate(requests=90, tokens=1, latency=0.4)
    vllm.engine().generate(requests=10, tokens=1, latency=4.0)
    readings = server.poll(vllm.text())
    assert readings.e2e_request_latency_seconds == pytest.approx(0.76)
    assert readings.e2e_request_latency_p95_seconds == pytest.approx(3.75)  # half of the bucket from 2.5 to 5
    assert readings.time_to_first_token_seconds == pytest.approx(0.076)
    assert readings.time_per_output_token_seconds == pytest.approx(0.0076)
    assert server.poll(vllm.text()).e2e_request_latency_seconds is None


def test_a_quantile_beyond_the_last_bound_is_that_bound(server: Server, vllm: FakeVllm) -> None:
    server.poll(vllm.text())
    vllm.engine().generate(requests=10, tokens=1, latency=1000.0)
    assert server.poll(vllm.text()).e2e_request_latency_p95_seconds == 10.0


def test_names_of_earlier_versions_of_vllm_are_known(server: Server) -> None:
    """The cache's metric was renamed, and was not known by its other name."""
    server.poll(OLDER.replace("COUNT", "100").replace("SUM", "1.0"))
    readings = server.poll(OLDER.replace("COUNT", "200").replace("SUM", "5.0"))
    assert readings.gpu_cache_usage_percent == 25.0
    assert readings.cpu_cache_usage_percent == 50.0
    assert (readings.prompt_tokens_throughput, readings.generation_tokens_throughput) == (120.5, 33.0)
    assert readings.time_per_output_token_seconds == pytest.approx(0.04)


def test_llama_cpp_is_read_from_its_counters() -> None:
    """The time to the first token was seconds per token once, and the rate of requests a count of a lifetime."""
    server = Server("llamacpp")
    page = LLAMA.replace("PROMPT", "1000").replace("PREDICTED", "100").replace("SECONDS", "5")
    server.poll(page)
    page = LLAMA.replace("PROMPT", "3000").replace("PREDICTED", "300").replace("SECONDS", "9")
    readings = server.poll(page, seconds=20.0)
    assert (readings.num_requests_running, readings.num_requests_waiting) == (2.0, 5.0)
    assert (readings.prompt_tokens_throughput, readings.generation_tokens_throughput) == (100.0, 10.0)
    assert readings.time_per_output_token_seconds == pytest.approx(0.02)
    assert readings.time_to_first_token_seconds is readings.requests_per_second is None


@pytest.mark.parametrize(
    "line",
    [
        'vllm:num_requests_running{model_name="m} 1',
        "vllm:num_requests_running{model_name=m} 1",
        "vllm:num_requests_running one",
        "vllm:num_requests_running",
        "vllm:num_requests_running{",
        'vllm:num_requests_running{model_name="' + "x" * 10_000 + '"} 1',
        'vllm:num_requests_running{a="' + '\\"' * 2000 + '"} 1',
    ],
)
def test_a_malformed_line_is_left_out_and_the_others_are_read(server: Server, line: str) -> None:
    text = f'{line}\nvllm:num_requests_waiting{{model_name="m"}} 4\n'
    samples = exposition.parse(text, server.engine.wanted)
    assert samples.of("vllm:num_requests_waiting")[0].value == 4.0
    assert samples.skipped == (0 if line.endswith('\\""} 1') and len(line) <= exposition.MAX_LINE else 1)


def test_values_that_are_not_finite_are_left_out(server: Server) -> None:
    text = 'vllm:num_requests_running{e="0"} NaN\nvllm:num_requests_running{e="1"} 2\nvllm:num_requests_waiting +Inf\n'
    readings = server.poll(text)
    assert (readings.num_requests_running, readings.num_requests_waiting) == (2.0, None)


def test_series_are_bounded(server: Server) -> None:
    text = "\n".join(f'vllm:generation_tokens_total{{n="{n}"}} 1' for n in range(exposition.MAX_SAMPLES + 100))
    samples = exposition.parse(text, server.engine.wanted)
    assert (len(samples.of("vllm:generation_tokens_total")), samples.skipped) == (exposition.MAX_SAMPLES, 100)
