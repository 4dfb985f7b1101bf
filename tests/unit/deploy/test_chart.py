"""The Helm chart, rendered and linted for several sets of values, and what every rendering must keep."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_python import errors
from helm_python.chart import Chart, lint

from tools import env_example

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "deploy" / "k8s" / "portico"
VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}
"""Kinds of volumes in use, of those that the restricted standard allows."""
SERVICES = ("auth", "inference", "rag", "tracing", "vector")

Manifest = dict[str, Any]
Values = Mapping[str, Any]

STORES = {"mongodb": {"url": "mongodb://mongo/"}, "redis": {"url": "redis://redis:6379/0"}}
LARGE: Values = {
    "mongodb": {"existingSecret": "stores", "key": "mongo"},
    "redis": {"existingSecret": "stores", "key": "redis"},
    "secrets": {"existingSecret": "parts"},
    "images": {"registry": "registry.example.com", "pullSecrets": ["pull"]},
    "config": {"PORTICO_REGISTRATION": "closed", "PORTICO_ECHO_DRIVER": False},
    "tls": {"enabled": True, "certManager": {"enabled": True, "issuerRef": {"name": "ca"}}},
    "edge": {"autoscaling": {"enabled": True}, "corsOrigins": ["https://a.example.com"], "trustedHops": 1},
    "services": {
        "inference": {"autoscaling": {"enabled": True}, "env": {"PORTICO_USAGE_SYNC": True}},
        "vector": {"embedded": False, "replicas": 3},
        "rag": {"replicas": 2, "persistence": {"accessModes": ["ReadWriteMany"], "storageClass": "nfs"}},
    },
    "networkPolicy": {
        "stores": [
            {"podSelector": {"app": "mongo"}, "port": 27017, "protect": True},
            {"cidr": "10.1.0.0/16", "port": 6379},
        ],
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
    },
    "ingress": {"enabled": True, "hosts": ["ai.example.com"], "tlsSecret": "ai-tls"},
    "gateway": {"enabled": True, "parentRefs": [{"name": "public"}], "hosts": ["ai.example.com"]},
    "metrics": {"serviceMonitor": {"enabled": True}, "dashboards": {"enabled": True}, "rules": {"enabled": True}},
    "test": {"tokenSecret": "test-token"},
}
SMALL: Values = {
    "mongodb": STORES["mongodb"],
    "redis": {"enabled": False},
    "edge": {"replicas": 1},
    "services": {name: {"replicas": 1} for name in SERVICES},
    "networkPolicy": {"enabled": False},
    "metrics": {"enabled": False},
    "migrations": {"enabled": False},
}
SETS: Mapping[str, Values] = {"defaults": STORES, "large": LARGE, "small": SMALL}


@pytest.fixture(scope="module")
def chart() -> Iterator[Chart]:
    with Chart.load(CHART) as loaded:
        yield loaded


def rendered(chart: Chart, values: Values) -> list[Manifest]:
    files = chart.render(dict(values), name="portico", namespace="ai")
    return [each for text in files.values() for each in yaml.load_all(text, yaml.CSafeLoader) if each]


@pytest.fixture(scope="module", params=SETS)
def manifests(chart: Chart, request: pytest.FixtureRequest) -> list[Manifest]:
    return rendered(chart, SETS[request.param])


def of_kind(manifests: list[Manifest], *kinds: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] in kinds}


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The pod's spec of everything that makes pods."""
    made = of_kind(manifests, "Deployment", "StatefulSet", "Job", "Pod")
    return {f"{each['kind']} {name}": each["spec"].get("template", each)["spec"] for name, each in made.items()}


def containers(manifests: list[Manifest]) -> list[tuple[str, Manifest]]:
    return [
        (owner, each)
        for owner, pod in pods(manifests).items()
        for each in (*pod.get("initContainers", ()), *pod["containers"])
    ]


@pytest.mark.parametrize("name", SETS)
def test_lints(name: str) -> None:
    report = lint(CHART, dict(SETS[name]), strict=True, namespace="ai")
    assert [each for each in report["messages"] if each["severity"] > 1] == []


def test_every_object_has_a_name_of_its_own(manifests: list[Manifest]) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in manifests]
    assert len(names) == len(set(names))


def test_pods_keep_the_restricted_standard(manifests: list[Manifest]) -> None:
    for owner, pod in pods(manifests).items():
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, owner
        assert security["runAsUser"] > 0, owner
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, owner
        assert pod["automountServiceAccountToken"] is False, owner
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), owner
        assert all(
            {"emptyDir", "persistentVolumeClaim", "secret", "configMap"} & each.keys()
            for each in pod.get("volumes", ())
        ), owner
    for owner, container in containers(manifests):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False, owner
        assert security["readOnlyRootFilesystem"] is True, owner
        assert security["capabilities"] == {"drop": ["ALL"]}, owner


def test_containers_have_requests_and_limits(manifests: list[Manifest]) -> None:
    for owner, container in containers(manifests):
        for kind in ("requests", "limits"):
            assert {"cpu", "memory"} <= container["resources"][kind].keys(), (owner, kind)


def test_what_runs_for_long_has_all_probes_and_time_for_its_stop(manifests: list[Manifest]) -> None:
    for name, owner in of_kind(manifests, "Deployment", "StatefulSet").items():
        pod = owner["spec"]["template"]["spec"]
        [container] = pod["containers"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys(), name
        assert pod["terminationGracePeriodSeconds"] == 15 + 120 + 60, name
        assert owner["spec"]["minReadySeconds"] == 10, name
        assert {each["topologyKey"] for each in pod["topologySpreadConstraints"]} == {
            "topology.kubernetes.io/zone",
            "kubernetes.io/hostname",
        }


def test_liveness_asks_no_store(manifests: list[Manifest]) -> None:
    made = of_kind(manifests, "Deployment", "StatefulSet")
    for name in SERVICES:
        [container] = made[f"portico-{name}"]["spec"]["template"]["spec"]["containers"]
        assert container["livenessProbe"]["grpc"]["service"] == container["startupProbe"]["grpc"]["service"] == "live"
        assert "service" not in container["readinessProbe"]["grpc"]


def test_selectors_choose_the_pods_of_their_part(manifests: list[Manifest]) -> None:
    made = of_kind(manifests, "Deployment", "StatefulSet")
    labels = {name: each["spec"]["template"]["metadata"]["labels"] for name, each in made.items()}
    for name, owner in made.items():
        assert owner["spec"]["selector"]["matchLabels"].items() <= labels[name].items()
    for service in of_kind(manifests, "Service").values():
        chosen = [name for name, own in labels.items() if service["spec"]["selector"].items() <= own.items()]
        assert chosen == [service["metadata"]["name"].removesuffix("-metrics")]
        pod = made[chosen[0]]["spec"]["template"]["spec"]
        ports = {port["name"] for port in pod["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_services_are_headless_so_that_callers_balance_over_their_pods(manifests: list[Manifest]) -> None:
    services = of_kind(manifests, "Service")
    assert all(services[f"portico-{name}"]["spec"]["clusterIP"] == "None" for name in SERVICES)


def test_addresses_lead_to_services_and_their_ports(manifests: list[Manifest]) -> None:
    known = {
        f"{name}:{port['port']}"
        for name, each in of_kind(manifests, "Service").items()
        for port in each["spec"]["ports"]
    }
    config = of_kind(manifests, "ConfigMap")["portico"]["data"]
    named = {value for setting, value in config.items() if setting.endswith("_ADDRESS")}
    edge = dict(containers(manifests))["Deployment portico-edge"]
    [clusters] = [each["value"] for each in edge["env"] if each["name"] == "PORTICO_EDGE_CLUSTERS"]
    pairs = dict(each.split("=") for each in clusters.split(","))
    assert pairs.keys() == {*SERVICES, "inference_http1", "vector_http1"}
    assert named | set(pairs.values()) <= known


def test_settings_are_portico_s_own(manifests: list[Manifest]) -> None:
    known = set(re.findall(r"^([A-Z][A-Z0-9_]*)=", env_example.text(), re.MULTILINE))
    used = {
        name for each in of_kind(manifests, "ConfigMap").values() for name in each["data"] if not name.endswith(".json")
    }
    for owner, container in containers(manifests):
        if not owner.startswith("Pod"):
            used |= {each["name"] for each in container.get("env", ())}
    assert used <= known
    assert set((CHART / "files" / "own-settings.txt").read_text().split()) <= known


def test_the_chart_protects_the_settings_that_it_sets(manifests: list[Manifest]) -> None:
    own = set((CHART / "files" / "own-settings.txt").read_text().split())
    free = {"PORTICO_REGISTRATION", "PORTICO_ECHO_DRIVER", "PORTICO_USAGE_SYNC"}  # given by the values
    for owner, container in containers(manifests):
        if not owner.startswith("Pod"):
            assert {each["name"] for each in container.get("env", ())} - free <= own, owner


def test_secrets_come_from_secrets_alone(manifests: list[Manifest]) -> None:
    config = of_kind(manifests, "ConfigMap")["portico"]["data"]
    assert not {"MONGODB_URL", "REDIS_URL", "PORTICO_ENCRYPTION_KEYS"} & config.keys()
    secrets = of_kind(manifests, "Secret")
    for owner, container in containers(manifests):
        for variable in container.get("env", ()):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference and reference["name"] == "portico":
                assert reference["key"] in secrets["portico"]["data"], owner


def test_the_edge_knows_neither_the_keys_nor_the_stores(manifests: list[Manifest]) -> None:
    edge = dict(containers(manifests))["Deployment portico-edge"]
    assert "envFrom" not in edge
    names = {each["name"] for each in edge["env"]}
    assert not names & {"PORTICO_SERVICE_SECRET", "PORTICO_ENCRYPTION_KEYS", "MONGODB_URL", "REDIS_URL"}


def test_a_volume_for_each_journal_and_one_for_files(chart: Chart) -> None:
    made = rendered(chart, LARGE)
    [claim] = of_kind(made, "StatefulSet")["portico-inference"]["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    [files] = of_kind(made, "PersistentVolumeClaim").values()
    assert files["spec"]["accessModes"] == ["ReadWriteMany"]


def test_pods_with_volumes_are_replaced_one_after_the_other(chart: Chart) -> None:
    """With Parallel, a pod that was not ready was deleted while another one was being replaced, and nobody served."""
    for owner in of_kind(rendered(chart, LARGE), "StatefulSet").values():
        assert owner["spec"]["podManagementPolicy"] == "OrderedReady"


def test_rag_gives_a_volume_of_one_node_up_before_the_next_pod_takes_it(chart: Chart) -> None:
    assert of_kind(rendered(chart, STORES), "Deployment")["portico-rag"]["spec"]["strategy"] == {"type": "Recreate"}
    assert of_kind(rendered(chart, LARGE), "Deployment")["portico-rag"]["spec"]["strategy"]["type"] == "RollingUpdate"


def test_replicas_are_the_autoscaler_s_where_there_is_one(chart: Chart) -> None:
    made = rendered(chart, LARGE)
    for name, scaler in of_kind(made, "HorizontalPodAutoscaler").items():
        kind = scaler["spec"]["scaleTargetRef"]["kind"]
        assert "replicas" not in of_kind(made, kind)[name]["spec"]
    assert set(of_kind(made, "HorizontalPodAutoscaler")) == {"portico-edge", "portico-inference"}


def test_a_single_replica_does_not_hold_up_a_node_s_drain(chart: Chart) -> None:
    assert of_kind(rendered(chart, SMALL), "PodDisruptionBudget") == {}
    budgets = of_kind(rendered(chart, STORES), "PodDisruptionBudget")
    assert set(budgets) == {f"portico-{name}" for name in ("edge", "auth", "inference", "tracing")}


def test_network_policies_let_only_the_edge_and_services_reach_services(chart: Chart) -> None:
    policies = of_kind(rendered(chart, LARGE), "NetworkPolicy")
    assert policies["portico-deny"]["spec"].keys() == {"podSelector", "policyTypes"}
    calls, metrics = policies["portico-services"]["spec"]["ingress"]
    selected = [each["podSelector"]["matchLabels"] for each in calls["from"]]
    assert [each.get("app.kubernetes.io/component", each.get("portico.io/role")) for each in selected] == [
        "edge",
        "service",
    ]
    assert metrics["from"] == LARGE["networkPolicy"]["metricsFrom"]
    store = policies["portico-store-0"]["spec"]
    assert store["podSelector"] == {"matchLabels": {"app": "mongo"}}
    assert store["ingress"][0]["from"][0]["podSelector"]["matchLabels"]["portico.io/role"] == "service"


def test_probes_ask_a_port_without_tls(chart: Chart) -> None:
    """The kubelet's gRPC probes speak no TLS."""
    for name, owner in of_kind(rendered(chart, LARGE), "Deployment", "StatefulSet").items():
        [container] = owner["spec"]["template"]["spec"]["containers"]
        if name != "portico-edge":
            assert container["readinessProbe"]["grpc"]["port"] == 50071
            assert {"name": "PORTICO_HEALTH_LISTEN", "value": "0.0.0.0:50071"} in container["env"]
        assert {"name": "tls", "mountPath": "/tls", "readOnly": True} in container["volumeMounts"]


def test_alerts_and_dashboards_are_those_of_the_project(chart: Chart) -> None:
    made = rendered(chart, LARGE)
    [rule] = of_kind(made, "PrometheusRule").values()
    assert rule["spec"] == yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yaml").read_text())
    for path in (ROOT / "deploy" / "grafana").glob("*.json"):
        shown = of_kind(made, "ConfigMap")[f"portico-dashboard-{path.stem}"]
        assert shown["data"][path.name] == path.read_text()


def test_the_certificate_is_for_every_service(chart: Chart) -> None:
    [certificate] = of_kind(rendered(chart, LARGE), "Certificate").values()
    assert set(certificate["spec"]["dnsNames"]) == {f"portico-{name}" for name in SERVICES}
    assert {"server auth", "client auth"} <= set(certificate["spec"]["usages"])


REFUSED: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "no store": ({}, "Set mongodb.url"),
    "no Redis": ({"mongodb": {"url": "m"}}, "Set redis.url"),
    "replicas without Redis": ({**STORES, "redis": {"enabled": False}}, "share counters, locks and caches in Redis"),
    "replicas of embedded vectors": (
        {**STORES, "services": {"vector": {"replicas": 2}}},
        "one replica only",
    ),
    "autoscaled embedded vectors": (
        {**STORES, "services": {"vector": {"autoscaling": {"enabled": True, "maxReplicas": 2}}}},
        "one replica only",
    ),
    "embedded vectors without a volume": (
        {**STORES, "services": {"vector": {"persistence": {"enabled": False}}}},
        "would be lost with the pod",
    ),
    "replicas on a volume of one node": ({**STORES, "services": {"rag": {"replicas": 2}}}, "ReadWriteMany"),
    "TLS without certificates": ({**STORES, "tls": {"enabled": True}}, "Set tls.existingSecret"),
    "a setting of the chart": (
        {**STORES, "config": {"PORTICO_LISTEN": "1"}},
        "config.PORTICO_LISTEN is set",
    ),
    "a setting of the chart for one service": (
        {**STORES, "services": {"auth": {"env": {"DB_PROVIDER": "sqlite"}}}},
        "services.auth.env.DB_PROVIDER is set by the chart",
    ),
    "a misspelt key": ({**STORES, "ingres": {}}, "ingres"),
    "a misspelt service": ({**STORES, "services": {"vectors": {"replicas": 1}}}, "vectors"),
    "a setting in small letters": ({**STORES, "config": {"portico_listen": "1"}}, "portico_listen"),
    "no replica": ({**STORES, "edge": {"replicas": 0}}, "replicas"),
    "a pull policy": ({**STORES, "images": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
    "an ingress without hosts": ({**STORES, "ingress": {"enabled": True}}, "hosts"),
    "a route without a gateway": ({**STORES, "gateway": {"enabled": True}}, "parentRefs"),
    "root": ({**STORES, "user": 0}, "user"),
    "a store without an address": ({**STORES, "networkPolicy": {"stores": [{"port": 1}]}}, "stores"),
    "no limits": ({**STORES, "edge": {"resources": {"limits": None}}}, "limits"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(chart: Chart, case: str) -> None:
    values, reason = REFUSED[case]
    with pytest.raises((errors.HelmRenderError, errors.HelmValuesError), match=re.escape(reason)):
        rendered(chart, values)


def test_every_value_is_described_in_the_schema(chart: Chart) -> None:
    """A value that the schema does not know would be refused, and one that values.yaml lacks is not documented."""
    schema = chart.schema
    assert schema is not None

    def compare(values: Any, rule: Manifest, path: str) -> None:
        rule = schema["$defs"][rule["$ref"].rpartition("/")[2]] if "$ref" in rule else rule
        if isinstance(values, dict) and rule.get("properties"):
            assert values.keys() == rule["properties"].keys() - {"global", "group"}, path
            for key, value in values.items():
                compare(value, rule["properties"][key], f"{path}.{key}")

    compare(yaml.safe_load((CHART / "values.yaml").read_text()), {"properties": schema["properties"]}, "values")


def test_generated_secrets_can_be_used(chart: Chart) -> None:
    """The keys are as PORTICO_ENCRYPTION_KEYS wants them, and the shared secrets are long enough."""
    import base64

    data = of_kind(rendered(chart, STORES), "Secret")["portico"]["data"]
    made = {name: base64.b64decode(text).decode() for name, text in data.items()}
    identifier, _, key = made["PORTICO_ENCRYPTION_KEYS"].partition(":")
    assert identifier == "k1"
    assert len(base64.b64decode(key, validate=True)) == 32
    assert len(made["PORTICO_SERVICE_SECRET"]) >= 32
    assert made["PORTICO_SERVICE_SECRET"] != made["PORTICO_EDGE_SECRET"]
