"""Writes the locks: `requirements.lock` for development, and one in `deploy/docker/` for each image.

An image gets what its part needs of the same versions, with the same hashes: the base and its own extra.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ("auth", "inference", "vector", "rag", "tracing", "edge")
FOLDER = ROOT / "deploy" / "docker"
_UNUSED = {"rag": ("magika", "onnxruntime", "numpy")}
"""Packages that a dependency asks for and Portico never imports: markitdown's front is never loaded."""
_COMPILE = (
    "--quiet",
    "--python-version",
    "3.11",
    "--generate-hashes",
    "--no-header",
    "--no-emit-index-url",
    "--no-emit-find-links",
)


def compile_locks(uv: Path) -> None:
    """Write all locks. The images' take their versions from the first."""
    _run(uv, "pyproject.toml", "--all-extras", output=ROOT / "requirements.lock")
    for name in IMAGES:
        unused = [option for each in _UNUSED.get(name, ()) for option in ("--no-emit-package", each)]
        extra = [] if name == "edge" else ["--extra", name]
        source = "-" if name == "edge" else "pyproject.toml"
        _run(uv, source, *extra, *unused, "--no-annotate", "-c", "requirements.lock", output=FOLDER / f"{name}.lock")


def _run(uv: Path, source: str, *options: str, output: Path) -> None:
    command = [str(uv), "pip", "compile", *_COMPILE, *options, source, "-o", str(output)]
    subprocess.run(command, cwd=ROOT, check=True, text=True, input=_edge() if source == "-" else None)


def _edge() -> str:
    """Requirements of the edge's image, which has no service in it: its extra without the base."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return "\n".join(project["optional-dependencies"]["edge"])


if __name__ == "__main__":
    compile_locks(Path(sys.executable).parent / "uv")
