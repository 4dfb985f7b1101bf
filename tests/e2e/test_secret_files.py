"""Whatever Portico writes is for its owner only."""

import asyncio
import stat
from pathlib import Path

from tests.support.cluster import Cluster, Rest, until
from tests.support.connections import http_session

MIB = 1 << 20
INDEX = "/v1/vector/providers/default/indexes"
OBJECTS = "/v1/files/buckets/default/objects"


def readable_by_others(folder: Path) -> dict[str, str]:
    """List all below the folder, with its mode, that others may read, write or enter."""
    found = {path: path.lstat().st_mode for path in (folder, *folder.rglob("*"))}
    return {
        str(path.relative_to(folder)): stat.filemode(mode)
        for path, mode in found.items()
        if not stat.S_ISLNK(mode) and mode & 0o077
    }


async def test_nothing_in_the_data_folder_is_readable_by_others(own_cluster: Cluster) -> None:
    """Segments and logs of vectors, the services' logs and the edge's were there for everybody on the machine."""
    data = own_cluster.data
    for old in ("vectors/acme/p1/idx/segment", "logs/auth.log", "edge/envoy.yaml", "files/acme/p1/b/aa/object"):
        (data / old).parent.mkdir(parents=True, exist_ok=True)
        (data / old).write_text("x")
        (data / old).chmod(0o600 if old.startswith("files") else 0o644)
    own_cluster.start()
    async with http_session() as http:
        rest, token = Rest(own_cluster.url, http), own_cluster.dev_token
        await _use_everything(rest, token)
    assert readable_by_others(data) == {}
    assert (data / "logs" / "access.log").stat().st_size > 0
    assert own_cluster.stop() == 0
    assert readable_by_others(data) == {}


async def _use_everything(rest: Rest, token: str) -> None:
    chat = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
    await rest.ok("POST", "/v1/chat/completions", chat, token=token)
    await rest.ok("POST", INDEX, {"name": "docs", "dimension": 768, "hybrid": True}, token=token)
    for start in range(0, 7000, 1000):  # enough for an HNSW index, which a process of its own builds
        vectors = [
            {"id": f"{n}", "values": [n % 7 + 1.0, n % 5, n % 3, *[0] * 765], "metadata": {"n": n}, "text": "word"}
            for n in range(start, start + 1000)
        ]
        await rest.ok("POST", f"{INDEX}/docs/upsert", {"vectors": vectors}, token=token)
    query = {"query": {"vector": [1, *[0] * 767], "topK": 3}}
    await rest.ok("POST", f"{INDEX}/docs/query", query, token=token)
    large = {"fileName": "a.txt", "keyHint": "a.txt", "data": "QUJD" * MIB, "convertToMarkdown": True}
    await rest.ok("POST", OBJECTS, large, token=token)

    async def converted() -> bool:
        file = (await rest.ok("GET", f"{OBJECTS}/a.txt", token=token))["file"]
        return bool(file["markdownStatus"] == "succeeded")

    await until(converted, 60.0)
    await rest.register()
    await asyncio.sleep(1.5)  # the edge writes its log every second
