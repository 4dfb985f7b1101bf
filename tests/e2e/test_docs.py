"""Commands of the documents, run as they stand there, but for the address and the data folder."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tools.supervisor import ROOT

_SHELL = re.compile(r"^```sh\n(.*?)^```$", re.M | re.S)
_LINK = re.compile(r"\]\(((?!https?:)[^)#]+)")
DOCUMENTS = sorted(path.relative_to(ROOT) for path in (*ROOT.glob("*.md"), *ROOT.glob("*/*.md")))


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        *(f"docs/{name}.md" for name in ("vectors", "files", "prompts", "guardrails", "memory", "audit", "tracing")),
    ],
)
def test_commands(cluster: Cluster, document: str, tmp_path: Path) -> None:
    blocks = _SHELL.findall((ROOT / document).read_text())
    script = "set -euo pipefail\n" + "\n".join(blocks)
    script = script.replace("http://127.0.0.1:8080", cluster.url).replace("data/dev-token", f"{cluster.data}/dev-token")
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.4\n")
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert blocks


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links(document: Path) -> None:
    folder = (ROOT / document).parent
    broken = [link for link in _LINK.findall((ROOT / document).read_text()) if not (folder / link).exists()]
    assert broken == []
