"""Generates `gen/` from `protos/`: messages, stubs, types, and the descriptor set that Envoy's transcoder reads."""

import shutil
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from google.api import http_pb2
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
ERROR_DETAILS = ("google/rpc/status.proto", "google/rpc/error_details.proto")
"""Protos of error details. No proto imports them, but whoever reads errors by the descriptor set needs them."""


def includes() -> list[str]:
    """protoc's import roots: ours, the well-known types, and google/api from googleapis-common-protos."""
    googleapis = Path(http_pb2.__file__).parents[2]
    return [f"-I{PROTOS}", f"-I{files('grpc_tools') / '_proto'}", f"-I{googleapis}"]


def run_protoc(*arguments: str) -> None:
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    if protoc.main(["protoc", *includes(), *arguments, *sources]) != 0:
        sys.exit("protoc failed; see above")


def generate(out: Path) -> None:
    """Write everything below `out`, which is emptied first."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    run_protoc(f"--python_out={out}", f"--pyi_out={out}", f"--grpc_python_out={out}")
    run_protoc(f"--descriptor_set_out={out / 'descriptor.binpb'}", "--include_imports", *ERROR_DETAILS)
    for folder in (path for path in out.rglob("*") if path.is_dir()):
        (folder / "__init__.py").touch()


def lint() -> None:
    """Run buf's linter over the compiled image, so that no copy of google/api has to lie in the tree."""
    with tempfile.NamedTemporaryFile(suffix=".binpb") as image:
        run_protoc(f"--descriptor_set_out={image.name}", "--include_imports", "--include_source_info")
        buf = Path(sys.executable).parent / "buf"
        subprocess.run([buf, "lint", f"{image.name}#format=binpb", "--config", str(ROOT / "buf.yaml")], check=True)
        subprocess.run([buf, "format", "--diff", "--exit-code", "."], cwd=PROTOS, check=True)


def main() -> None:
    if "--lint" in sys.argv:
        lint()
    elif "--check" in sys.argv:
        with tempfile.TemporaryDirectory() as fresh:
            generate(Path(fresh) / "gen")
            diff = subprocess.run(["diff", "-rq", "-x", "__pycache__", f"{fresh}/gen", ROOT / "gen"], check=False)
            if diff.returncode:
                sys.exit("gen/ is stale: run `make proto` and commit the result")
    else:
        generate(ROOT / "gen")


if __name__ == "__main__":
    main()
