from services.rag.domain.retrieval import query_log
from services.rag.domain.retrieval.query_log import _percentile


def test_the_95th_percentile_is_exact_to_five_percent() -> None:
    latencies = [float(each) for each in range(1, 201)]
    bands: dict[int, int] = {}
    for each in latencies:
        band = query_log._latency_band(each)
        bands[band] = bands.get(band, 0) + 1
    assert 190 <= _percentile(bands, 0.95) <= 190 * 1.06
    assert _percentile({}, 0.95) == 0.0
