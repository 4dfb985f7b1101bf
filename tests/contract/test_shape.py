"""Every service has the same shape, so that whoever knows one knows all."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = sorted(path.parent for path in (ROOT / "services").glob("*/__main__.py"))
FILES = {"__init__.py", "__main__.py", "settings.py", "app.py", "mapping.py", "ports.py"}
each_service = pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)


def test_there_are_services() -> None:
    assert {"auth", "inference"} <= {path.name for path in SERVICES}


@each_service
def test_a_service_has_the_files_of_all_services(service: Path) -> None:
    names = {path.name for path in service.iterdir()}
    assert names >= FILES
    assert "servicer.py" in names or "servicers" in names
    assert (service / "domain").is_dir()
    assert (service / "adapters").is_dir()


@each_service
def test_only_main_reads_the_environment(service: Path) -> None:
    readers = [
        path.relative_to(ROOT)
        for path in service.rglob("*.py")
        if path.name != "__main__.py" and "os.environ" in path.read_text()
    ]
    assert readers == []


@each_service
def test_no_storage_call_of_the_domain_leaves_the_scope_out(service: Path) -> None:
    """The type checker holds the scope's type; this holds that nobody builds one from a request."""
    builders = [
        path.relative_to(ROOT)
        for path in (service / "servicer.py", *service.glob("servicers/*.py"), service / "mapping.py")
        if path.exists() and _calls(path) & {"Tenant", "Project", "AllProjects"}
    ]
    assert builders == []


def _calls(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
