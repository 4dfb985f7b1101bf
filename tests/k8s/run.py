"""The chart on a real cluster: installed, called, updated under load, drained, upgraded and uninstalled.

    KUBECTL=kubectl HELM=helm IMAGE_REPOSITORY=portico IMAGE_TAG=0.1.0 python -m tests.k8s.run [STEP ...]

The images <IMAGE_REPOSITORY>/<part>:<IMAGE_TAG> have to be on the nodes, and those of the stores (MONGODB_IMAGE,
REDIS_IMAGE). PREVIOUS_CHART names the chart that is upgraded from; by default it is the present one with other
settings. Without steps all are run. It makes the namespaces portico-test and portico-stores, and
deletes them at the end.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CHART = HERE.parent.parent / "deploy" / "k8s" / "portico"
NAMESPACE, STORES, RELEASE = "portico-test", "portico-stores", "portico"
IMAGES = os.environ.get("IMAGE_REPOSITORY", "portico")
TAG = os.environ.get("IMAGE_TAG", "0.1.0")
PREVIOUS = os.environ.get("PREVIOUS_CHART", str(CHART))
STORE_IMAGES = {
    "MONGODB_IMAGE": os.environ.get("MONGODB_IMAGE", "mongo:7.0"),
    "REDIS_IMAGE": os.environ.get("REDIS_IMAGE", "redis:7-bookworm"),
}
WORKLOADS = {
    "auth": "deployment",
    "inference": "statefulset",
    "tracing": "deployment",
    "edge": "deployment",
}
"""Parts with two replicas, which an update must not interrupt."""
_KINDS = "all,ingress,networkpolicy,configmap,secret,serviceaccount,pdb,hpa,pvc,job"


class Failed(Exception):
    """The message says what was expected and what was seen."""


def say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def tool(name: str, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
    """Run kubectl or helm and return what it printed. Raises Failed."""
    command = [*shlex.split(os.environ.get(name.upper(), name)), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise Failed(f"{name} {' '.join(arguments[:6])}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def kubectl(*arguments: str, stdin: str | None = None, check: bool = True) -> str:
    return tool("kubectl", "-n", NAMESPACE, *arguments, stdin=stdin, check=check)


def helm(*arguments: str) -> str:
    return tool("helm", "-n", NAMESPACE, *arguments)


def install(chart: str = str(CHART), *settings: str) -> None:
    """Install or upgrade, and wait until all is ready."""
    given = [f"images.repository={IMAGES}", f"images.tag={TAG}", *settings]
    sets = [each for value in given for each in ("--set", value)]
    helm("upgrade", "--install", RELEASE, chart, "-f", str(HERE / "values.yaml"), *sets, "--wait", "--timeout", "8m")


def prepare() -> None:
    say("stores")
    for name, level in ((STORES, "baseline"), (NAMESPACE, "restricted")):
        labels = {"pod-security.kubernetes.io/enforce": level}
        kind = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        tool("kubectl", "apply", "-f", "-", stdin=json.dumps(kind))
    text = (HERE / "stores.yaml").read_text()
    for name, image in STORE_IMAGES.items():
        text = text.replace(f"${{{name}}}", image)
    tool("kubectl", "-n", STORES, "apply", "-f", "-", stdin=text)
    for name in ("mongodb", "redis"):
        tool("kubectl", "-n", STORES, "rollout", "status", f"deployment/{name}", "--timeout=3m")


def first_install() -> None:
    say(f"install of {PREVIOUS}")
    install(PREVIOUS)
    say("helm test")
    say(helm("test", RELEASE, "--logs")[-1500:])


def token() -> str:
    """An API token of the account of `helm test`."""
    code = (
        "import json,os,urllib.request\n"
        "def post(path, body, token=None):\n"
        "    headers = {'Content-Type': 'application/json'} | ({'Authorization': 'Bearer ' + token} if token else {})\n"
        "    request = urllib.request.Request(os.environ['URL'] + path, json.dumps(body).encode(), headers)\n"
        "    return json.loads(urllib.request.urlopen(request, timeout=30).read())['token']\n"
        "session = post('/v1/auth/login', {'email': 'helm-test@example.com', 'slug': 'helm-test',"
        " 'password': os.environ['PASSWORD']})\n"
        "print(post('/v1/tokens', {'label': 'load', 'scopes': ['*']}, session))\n"
    )
    secret = {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": RELEASE, "key": "test-password"}}}
    return run_pod("token", code, [secret]).strip().splitlines()[-1]


def pod(name: str, code: str, env: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A pod that runs a program of Python in an image of ours, and may call the edge."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    container = {
        "name": "main",
        "image": f"{IMAGES}/auth:{TAG}",
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", code],
        "env": [{"name": "URL", "value": f"http://{RELEASE}-edge"}, *env],
        "securityContext": security,
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 90,
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
    }
    labels = {
        "app.kubernetes.io/name": "portico",
        "app.kubernetes.io/instance": RELEASE,
        "app.kubernetes.io/component": "test",
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


def run_pod(name: str, code: str, env: Sequence[dict[str, Any]]) -> str:
    kubectl("delete", "pod", name, "--ignore-not-found")
    kubectl("apply", "-f", "-", stdin=json.dumps(pod(name, code, env)))
    kubectl("wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=2m")
    printed = kubectl("logs", name)
    kubectl("delete", "pod", name)
    return printed


class Load:
    """Chats at a fixed rate from a pod, while the block runs. `failures` and `totals` are known after it."""

    def __init__(self, access: str, rate: float) -> None:
        self._env = [{"name": "TOKEN", "value": access}, {"name": "RATE", "value": str(rate)}]
        self.failures: list[dict[str, Any]] = []
        self.totals: dict[str, Any] = {}

    def __enter__(self) -> "Load":
        kubectl("delete", "pod", "load", "--ignore-not-found")
        kubectl("apply", "-f", "-", stdin=json.dumps(pod("load", (HERE / "load.py").read_text(), self._env)))
        kubectl("wait", "pod/load", "--for=condition=Ready", "--timeout=1m")
        return self

    def __exit__(self, *_: object) -> None:
        command = [*shlex.split(os.environ.get("KUBECTL", "kubectl")), "-n", NAMESPACE, "logs", "-f", "load"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as logs:
            kubectl("delete", "pod", "load", "--wait=false")
            printed = logs.communicate(timeout=180)[0]
        lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
        self.failures = [line for line in lines if "failed" in line and "why" in line]
        self.totals = next((line for line in lines if "total" in line), {})
        say(f"load: {self.totals}")
        for failure in self.failures[:5]:
            say(f"  failed: {failure}")


def records(access: str) -> int:
    """Number of usage records of chats of the tenant."""
    code = (
        "import json,os,urllib.request\n"
        "headers = {'Authorization': 'Bearer ' + os.environ['TOKEN']}\n"
        "request = urllib.request.Request(os.environ['URL'] + '/v1/usage', headers=headers)\n"
        "print(urllib.request.urlopen(request, timeout=60).read().decode())\n"
    )
    answer = json.loads(run_pod("usage", code, [{"name": "TOKEN", "value": access}]).strip().splitlines()[-1])
    return sum(int(row.get("requests", 0)) for row in answer["totals"])


def under_load(access: str, rate: float, what: Callable[[], None], *, may_fail: bool = False) -> None:
    """Do something under load. Raises Failed where a call failed that must not, or a usage record is missing."""
    before = records(access)
    load = Load(access, rate)
    with load:
        time.sleep(3)
        what()
        time.sleep(3)
    deadline = time.monotonic() + 180  # records are written behind, and come later where the store is slow
    while (counted := records(access) - before) < load.totals["ok"] and time.monotonic() < deadline:
        time.sleep(2)
    say(f"usage records: {counted}, answered calls: {load.totals.get('ok')}, failed calls: {load.totals.get('failed')}")
    if load.failures and not may_fail:
        raise Failed(f"{len(load.failures)} of {load.totals.get('total')} calls failed")
    if counted < load.totals["ok"]:
        raise Failed(f"{load.totals['ok']} calls were answered, and {counted} usage records are there")


def restart(part: str) -> None:
    target = f"{WORKLOADS[part]}/{RELEASE}-{part}"
    kubectl("rollout", "restart", target)
    kubectl("rollout", "status", target, "--timeout=8m")


def rolling_update(access: str, rate: float) -> None:
    for part in WORKLOADS:
        say(f"rolling restart of {part} under {rate:.0f} calls a second")
        under_load(access, rate, lambda part=part: restart(part))  # type: ignore[misc]


def killed_pod(access: str, rate: float) -> None:
    say("a pod of inference killed with SIGKILL: only its own calls may fail")

    def kill() -> None:
        kubectl("delete", "pod", f"{RELEASE}-inference-0", "--grace-period=0", "--force")
        kubectl("rollout", "status", f"statefulset/{RELEASE}-inference", "--timeout=5m")

    under_load(access, rate, kill, may_fail=True)


def drained_node(access: str, rate: float) -> None:
    """On one node: pods of all parts are evicted until the budgets say no, and the rest goes on serving."""
    say("a node's drain")
    [node, *_] = tool("kubectl", "get", "nodes", "-o", "name").split()
    parts = ",".join(WORKLOADS)
    selector = f"--pod-selector=app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component in ({parts})"

    def drain() -> None:
        tool("kubectl", "drain", node, selector, "--delete-emptydir-data", "--timeout=45s", check=False)
        left = kubectl("get", "pods", "--field-selector=status.phase=Running", "-o", "name").split()
        say(f"  left running: {sorted(each.removeprefix('pod/') for each in left)}")
        tool("kubectl", "uncordon", node)
        for part, kind in WORKLOADS.items():
            kubectl("rollout", "status", f"{kind}/{RELEASE}-{part}", "--timeout=5m")

    under_load(access, rate, drain)


def upgrade(access: str, rate: float) -> None:
    say("upgrade to the present chart, under load")
    under_load(access, rate, lambda: install(str(CHART), "config.PORTICO_LOG_LEVEL=warning"))
    say(helm("test", RELEASE, "--logs")[-600:])


def uninstall() -> None:
    say("uninstall")
    helm("uninstall", RELEASE, "--wait", "--timeout", "5m")
    kubectl("wait", "pod", "--for=delete", "-l", f"app.kubernetes.io/instance={RELEASE}", "--timeout=4m", check=False)
    deadline = time.monotonic() + 60
    while left := kubectl("get", _KINDS, "-l", f"app.kubernetes.io/instance={RELEASE}", "-o", "name").split():
        if time.monotonic() > deadline:
            raise Failed(f"the uninstall left {left}")
        time.sleep(1)
    say("nothing is left")


def clean_up() -> None:
    for name in (NAMESPACE, STORES):
        tool("kubectl", "delete", "namespace", name, "--ignore-not-found", "--timeout=3m")


STEPS = ("prepare", "install", "rolling", "kill", "drain", "upgrade", "uninstall", "clean")


def main(chosen: Sequence[str]) -> int:
    rate = float(os.environ.get("RATE", "100"))
    access = ""

    def with_token(step: Callable[[str, float], None]) -> None:
        nonlocal access
        access = access or token()
        step(access, rate)

    steps: dict[str, Callable[[], None]] = {
        "prepare": prepare,
        "install": first_install,
        "rolling": lambda: with_token(rolling_update),
        "kill": lambda: with_token(killed_pod),
        "drain": lambda: with_token(drained_node),
        "upgrade": lambda: with_token(upgrade),
        "uninstall": uninstall,
        "clean": clean_up,
    }
    try:
        for name in chosen or STEPS:
            steps[name]()
    except Failed as failure:
        say(f"FAILED: {failure}")
        return 1
    say("all is well")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
