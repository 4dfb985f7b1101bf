"""Makes a folder of documents searchable: `python -m tools.ingest FOLDER`.

Makes the knowledge module (default: `docs`) where there is none, uploads the files, and waits until they are indexed. A
file that is there already, with the same name and content, is not indexed again.
"""

import argparse
import json
import mimetypes
import os
import sys
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tools.local_model import NAME
from tools.seed import Refused, call

ENDINGS = (".md", ".markdown", ".txt", ".rst", ".html", ".htm", ".pdf", ".docx", ".pptx", ".xlsx", ".csv", ".json")
_AT_A_TIME = 4
_POLL_SECONDS = 1.0
_TIMEOUT = 120.0
MODULE: dict[str, Any] = {
    "name": "Documents",
    "vectorProviderKey": "default",
    "chunkConfig": {"strategy": "markdown", "chunkSize": 1000, "chunkOverlap": 0},
    "hybrid": {"enabled": True, "mode": "weighted", "alpha": 0.7},
}
"""A module as suits small embedding models: they read some 250 tokens."""


class Portico:
    """The API, as the bearer of a token."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Raises Refused, NotUpYet."""
        return call(self.url, method, path, body, token=self.token)

    def upload(self, path: str, name: str, content: bytes, content_type: str) -> dict[str, Any]:
        """Upload a file as a form, with its path as metadata: names of documents have no folder. Raises Refused."""
        boundary = uuid.uuid4().hex
        file_name = urllib.parse.quote(name.rpartition("/")[2])
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"\r\n'
            f"Content-Type: {content_type}\r\n\r\n"
        )
        metadata = json.dumps({"path": name})
        first = f'--{boundary}\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{metadata}\r\n'
        request = urllib.request.Request(  # noqa: S310  # the URL that the caller gave
            self.url + path,
            data=first.encode() + head.encode() + content + f"\r\n--{boundary}--\r\n".encode(),
            headers={
                "Authorization": f"Bearer {self.token}",
                "Content-Type": f"multipart/form-data; boundary={boundary}",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
                read: dict[str, Any] = json.loads(answer.read())
                return read
        except urllib.error.HTTPError as refusal:
            raise Refused(refusal.code, refusal.read().decode(errors="replace")) from None


def documents(folder: Path) -> Iterator[Path]:
    """The files of the folder that can be read, in order."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix.lower() in ENDINGS and not any(part.startswith(".") for part in path.parts):
            yield path


def make_module(portico: Portico, key: str, model: str, **more: Any) -> None:
    """Make the module where there is none. Raises Refused."""
    try:
        portico.call("POST", "/v1/rag/modules", {**MODULE, "key": key, "embeddingModelKey": model, **more})
    except Refused as refusal:
        if refusal.status != 409:
            raise


def ingest(portico: Portico, key: str, folder: Path, paths: list[Path]) -> list[str]:
    """Upload files and wait until all of the module's documents are done. The names of those that failed, with the
    reason."""

    def upload(path: Path) -> None:
        name = path.relative_to(folder).as_posix()
        kind = mimetypes.guess_type(name)[0] or "text/plain"
        portico.upload(f"/v1/rag/modules/{key}/ingest", name, path.read_bytes(), kind)

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        list(pool.map(upload, paths))
    while any(
        portico.call("GET", f"/v1/rag/modules/{key}/documents?status={state}&pageSize=1")["documents"]
        for state in ("pending", "processing")
    ):
        if sys.stderr.isatty():
            chunks = portico.call("GET", f"/v1/rag/modules/{key}")["module"]["chunkCount"]
            print(f"\r{chunks} chunks are indexed  ", end="", file=sys.stderr)
        time.sleep(_POLL_SECONDS)
    failed = portico.call("GET", f"/v1/rag/modules/{key}/documents?status=failed&pageSize=1000")["documents"]
    return [f"{each['fileName']}: {each['errorMessage']}" for each in failed]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--module", default="docs", help="key of the module")
    parser.add_argument("--model", default=NAME, help="key of the embedding model")
    data = Path(os.environ.get("PORTICO_DATA_DIR") or "data")
    url = f"http://127.0.0.1:{os.environ.get('PORTICO_PORT') or 8080}"
    parser.add_argument("--url", default=url)
    given = parser.parse_args()
    portico = Portico(given.url, (data / "dev-token").read_text().strip())
    paths = list(documents(given.folder))
    try:
        make_module(portico, given.module, given.model)
        failed = ingest(portico, given.module, given.folder, paths)
    except Refused as refusal:
        print(f"Portico refused this: {refusal}", file=sys.stderr)
        return 1
    print(f"\n{len(paths)} files are in the module {given.module}, {len(failed)} of its documents failed.")
    for line in failed:
        print(f"  {line}")
    print(
        f"""
Ask it:

  curl {given.url}/v1/rag/modules/{given.module}/query -H "Authorization: Bearer $(cat {data / "dev-token"})" \\
    -H "Content-Type: application/json" -d '{{"query": "How do I ...?", "topK": 5}}'
"""
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
