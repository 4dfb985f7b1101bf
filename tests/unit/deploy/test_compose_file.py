"""docker-compose.yml and the Dockerfile, read without Docker: what every container must have, and names that exist."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from core import config
from core.app import CoreSettings
from core.sealing import Sealer
from tools import edge, locks

ROOT = Path(__file__).resolve().parents[3]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PARTS = ("edge", "auth", "inference", "vector", "rag", "tracing")
STORES = sorted(set(SERVICES) - set(PARTS))
FROM_OUTSIDE = re.compile(r"(?:MONGO_INITDB|QDRANT_)_\w+|HOME")
"""Settings of other products."""

each_service = pytest.mark.parametrize("name", SERVICES)
each_part = pytest.mark.parametrize("name", PARTS)


def described() -> set[str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    return {line.partition("=")[0] for line in lines if line and not line.startswith("#")}


@each_service
def test_a_container_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    user, _, group = service["user"].partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert not {"privileged", "cap_add", "network_mode", "pid"} & service.keys()
    assert all(":/" in volume and not volume.startswith(("/", ".")) for volume in service.get("volumes", ()))


@each_service
def test_a_container_has_limits_and_is_started_again(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "always"
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["cpus"] > 0
    assert service["pids_limit"] > 0
    assert service["logging"]["options"]["max-size"]


@each_service
def test_a_container_is_watched(name: str) -> None:
    healthcheck = "healthcheck" in SERVICES[name]
    assert healthcheck or (name in PARTS and "\nHEALTHCHECK " in DOCKERFILE)


@each_service
def test_it_starts_when_what_it_needs_is_healthy(name: str) -> None:
    needed = SERVICES[name].get("depends_on", {})
    assert all(condition == {"condition": "service_healthy"} for condition in needed.values())
    assert set(needed) <= set(SERVICES)
    if name in PARTS:
        assert needed


@each_service
def test_secrets_come_as_files_alone(name: str) -> None:
    service = SERVICES[name]
    environment = service.get("environment", {})
    files = {value for key, value in environment.items() if key.endswith(config.FILE_SUFFIX)}
    assert files <= {f"/run/secrets/{secret}" for secret in service.get("secrets", ())}
    secret_settings = {key.removesuffix(config.FILE_SUFFIX) for key in described() if key.endswith(config.FILE_SUFFIX)}
    assert not secret_settings & environment.keys()


@each_part
def test_every_setting_exists(name: str) -> None:
    """A misspelt name would be ignored by the service, and its default stand."""
    unknown = {key for key in SERVICES[name]["environment"] if not FROM_OUTSIDE.fullmatch(key)} - described()
    assert not unknown


def test_what_compose_itself_reads_is_documented() -> None:
    read = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    page = (ROOT / "docs" / "deploy-compose.md").read_text()
    assert all(f"`{name}" in page for name in read)


def test_settings_of_the_images_exist() -> None:
    assert set(re.findall(r"\b(PORTICO_\w+)=", DOCKERFILE)) <= described()


def test_only_the_edge_reaches_services_and_only_services_reach_stores() -> None:
    networks = {name: set(service["networks"]) for name, service in SERVICES.items()}
    assert networks["edge"] == {"public", "services"}
    assert all(networks[name] == {"services", "stores", "outside"} for name in PARTS if name != "edge")
    assert all(networks[name] == {"stores"} for name in STORES)
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["edge"]
    assert {name for name, network in COMPOSE["networks"].items() if network} == {"services", "stores"}
    assert all(COMPOSE["networks"][name] == {"internal": True} for name in ("services", "stores"))


def test_the_edge_is_told_where_every_service_is() -> None:
    text = SERVICES["edge"]["environment"]["PORTICO_EDGE_CLUSTERS"]
    named = dict(entry.split("=") for entry in text.split(","))
    known = {cluster["name"] for cluster in edge.load(edge.SOURCE / "clusters.local.yaml")["resources"]}
    assert named.keys() == known - {"keys", "admin"}
    for cluster, address in named.items():
        service, _, port = address.partition(":")
        assert service in SERVICES
        listens = SERVICES[service]["environment"].get("PORTICO_EDGE_LISTEN", "")
        assert port == (listens.rpartition(":")[2] if cluster.endswith("_http1") else "50051")


@each_part
def test_volumes_are_declared_and_a_stop_has_time(name: str) -> None:
    service = SERVICES[name]
    assert {volume.partition(":")[0] for volume in service.get("volumes", ())} <= COMPOSE["volumes"].keys()
    seconds = float(service["stop_grace_period"].removesuffix("s"))
    rpc = config.load(CoreSettings, {"PORTICO_SERVICE_SECRET": "s" * 32}).rpc
    assert seconds > rpc.drain_seconds + rpc.grace_seconds + 5
    if name != "edge":
        assert f"{name}:/data" in service["volumes"]


@each_part
def test_an_image_holds_the_locked_versions(name: str) -> None:
    """A lock of an image that was not compiled with the others would install other versions than were tested."""
    versions = re.findall(r"^(\S+==\S+)", (ROOT / "deploy/docker" / f"{name}.lock").read_text(), re.MULTILINE)
    tested = re.findall(r"^(\S+==\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert versions
    assert set(versions) <= set(tested)
    assert not {"pytest", "mypy", "uv", "pip"} & {version.partition("==")[0] for version in versions}


def test_every_part_has_a_lock_and_is_built_from_the_one_dockerfile() -> None:
    assert sorted(PARTS) == sorted(locks.IMAGES)
    assert all(SERVICES[name]["build"] == {"context": ".", "args": {"SERVICE": name}} for name in PARTS)
    assert "--require-hashes" in DOCKERFILE
    assert re.search(r"^FROM scratch$.*^USER 10001:10001$", DOCKERFILE, re.MULTILINE | re.DOTALL)
    assert ":latest" not in DOCKERFILE + str(COMPOSE)


def script(name: str) -> ModuleType:
    """A script of deploy/docker, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "deploy" / "docker" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_secrets_that_are_made_are_those_that_are_mounted(tmp_path: Path) -> None:
    make_secrets = script("make_secrets")
    folder = tmp_path / "secrets"
    made = make_secrets.make(folder)
    assert sorted(made) == sorted(COMPOSE["secrets"])
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o444 for path in folder.iterdir())
    found = {path.name: path.read_text() for path in folder.iterdir()}
    Sealer.from_settings(found["encryption_keys"])
    assert len(found["service_secret"]) >= 32
    assert len(found["edge_secret"]) >= 32
    assert f":{found['mongodb_password']}@mongo:27017" in found["mongodb_url"]
    assert f"requirepass {found['redis_password']}\n" in found["redis_conf"]


def test_secrets_that_are_there_stay(tmp_path: Path) -> None:
    make_secrets = script("make_secrets")
    (tmp_path / "mongodb_password").write_text("mine\n")
    assert "mongodb_password" not in make_secrets.make(tmp_path)
    assert ":mine@mongo" in (tmp_path / "mongodb_url").read_text()
    assert make_secrets.make(tmp_path) == []
