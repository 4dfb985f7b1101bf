"""The alerts for operators: their metrics exist, and each has its section in the runbook."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/rules.yaml").read_text())["groups"]
    for rule in group["rules"]
]
RUNBOOK = (ROOT / "docs/runbook.md").read_text()
SECTIONS = set(re.findall(r"^## (Portico\w+)$", RUNBOOK, re.MULTILINE))
OF_OTHERS = {"up", "process_open_fds", "process_max_fds", "process_resident_memory_bytes", "process_start_time_seconds"}
"""Metrics of Prometheus itself and of its client library."""
_METRIC = re.compile(r"\b((?:portico|envoy|process)_[a-z_]+|up)(?=[{\[\s)])")
_SUFFIX = re.compile(r"_(total|bucket|count|sum)$")


def ours() -> str:
    """Source of whatever makes metrics, and the dashboards, whose metrics an end-to-end test looks for."""
    sources = [path.read_text() for folder in ("core", "services") for path in (ROOT / folder).rglob("*.py")]
    return "\n".join([*sources, (ROOT / "deploy/grafana/operators.json").read_text()])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_metric_of_a_rule_exists(rule: dict[str, Any]) -> None:
    """A rule over a metric that does not exist never fires."""
    metrics = set(_METRIC.findall(rule["expr"])) - OF_OTHERS
    source = ours()
    for metric in metrics:
        name = _SUFFIX.sub("", metric)
        prefix, _, rest = name.rpartition("portico_usage_records")
        built = f'{{name}}{rest}"' if rest and not prefix else name  # families of one name are made from it
        assert name in source or built in source, metric
    assert metrics or "up{" in rule["expr"] or "process_" in rule["expr"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_rule_says_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["alert"] in SECTIONS
    assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
    assert rule["annotations"]["summary"]
    assert rule["labels"]["severity"] in ("warning", "critical")


def test_the_runbook_has_no_alert_that_does_not_exist() -> None:
    assert {rule["alert"] for rule in RULES} == SECTIONS
