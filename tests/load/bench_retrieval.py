"""Measure retrieval on a real corpus: a running suite ingests Python's documentation with a local model and answers
questions whose pages are known (tests/retrieval/questions.jsonl).

    apt-get install python3-doc
    python -m tests.load.bench_retrieval --out docs/retrieval.md
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.inference.adapters.local.models import LocalModels
from tests.load.processes import tree
from tests.support.cluster import Cluster
from tests.support.local_model import MODELS
from tools.ingest import Portico, ingest, make_module
from tools.local_model import NAME, fetch

QUESTIONS = Path(__file__).parents[1] / "retrieval" / "questions.jsonl"
FOLDERS = ("distutils", "extending", "faq", "howto", "installing", "library", "reference", "tutorial", "using")
"""Parts of the documentation that explain something: not the C API, the index and the news."""
FIRST = 5
_DEEP = 25
_SAMPLE = 1_500
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
WAYS: Mapping[str, Mapping[str, Any]] = {
    "vectors alone": {"hybrid": False},
    "words alone": {"hybrid": {"enabled": True, "mode": "weighted", "alpha": 0.0}},
    "hybrid, reciprocal ranks": {"hybrid": {"enabled": True, "mode": "rrf"}},
    "hybrid, weighted 0.7": {"hybrid": {"enabled": True, "mode": "weighted", "alpha": 0.7}},
    "hybrid and rerank by words": {
        "hybrid": {"enabled": True, "mode": "weighted", "alpha": 0.7},
        "rerankerKey": "words",
    },
    "hybrid, rerank and diversity": {
        "hybrid": {"enabled": True, "mode": "weighted", "alpha": 0.7},
        "rerankerKey": "words",
        "mmr": {"lambda": 0.9},
    },
}
"""Ways to query, by fields of the request."""


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    pages: frozenset[str]
    """Pages that answer it; any of them will do."""


@dataclass(slots=True)
class Score:
    """Shares of the questions that found their pages."""

    found: float = 0.0
    """A chunk of the page is among the first matches."""
    found_pages: float = 0.0
    """The page is among the first ones, where each page counts once."""
    reciprocal: float = 0.0
    """Mean of 1 / the place of the first match of the page."""
    milliseconds: float = 0.0


def questions() -> list[Question]:
    read = [json.loads(line) for line in QUESTIONS.read_text("utf-8").splitlines()]
    return [Question(each["question"], frozenset(each["pages"])) for each in read]


def default_corpus() -> Path:
    found = sorted(Path("/usr/share/doc").glob("python3.*/html"))
    if not found:
        raise SystemExit("There is no documentation of Python: apt-get install python3-doc, or name one with --corpus.")
    return found[-1]


def pages(corpus: Path) -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((corpus / folder).rglob("*.html"))]


def score(rankings: Sequence[Sequence[str]], wanted: Sequence[Question]) -> Score:
    """Of the pages of the matches of each question, best first."""
    total = Score()
    for ranking, question in zip(rankings, wanted, strict=True):
        place = next((at for at, page in enumerate(ranking, 1) if page in question.pages), 0)
        each_once = list(dict.fromkeys(ranking))[:FIRST]
        total.found += 0 < place <= FIRST
        total.found_pages += not question.pages.isdisjoint(each_once)
        total.reciprocal += 1 / place if place else 0.0
    for name in ("found", "found_pages", "reciprocal"):
        setattr(total, name, getattr(total, name) / len(wanted))
    return total


def measure(portico: Portico, way: Mapping[str, Any], wanted: Sequence[Question]) -> Score:
    rankings, began = [], time.monotonic()
    for question in wanted:
        body = {"query": question.text, "topK": _DEEP, **way}
        result = portico.call("POST", "/v1/rag/modules/docs/query", body)["result"]
        rankings.append([match["metadata"]["path"].removesuffix(".html") for match in result["matches"]])
    spent = (time.monotonic() - began) * 1000 / len(wanted)
    measured = score(rankings, wanted)
    measured.milliseconds = spent
    return measured


def tokens_used(portico: Portico) -> float:
    rows = portico.call("GET", "/v1/usage?groupBy=operation")["rows"]
    return float(sum(row["inputTokens"] for row in rows if row["group"].get("operation") == "embedding"))


def texts_of(portico: Portico, most: int) -> list[str]:
    """Texts of chunks, from documents all over the corpus."""
    documents = portico.call("GET", "/v1/rag/modules/docs/documents?pageSize=1000")["documents"]
    texts: list[str] = []
    for document in documents[::7]:
        path = f"/v1/rag/modules/docs/documents/{document['id']}/chunks?pageSize=200"
        texts += [chunk["content"] for chunk in portico.call("GET", path)["chunks"]]
        if len(texts) >= most:
            break
    return texts[:most]


async def alone(models: Path, texts: Sequence[str]) -> float:
    """Tokens a second of the model alone, with all cores, on these texts."""
    local = LocalModels(models, threads=os.cpu_count() or 1, capacity=1, max_waiting=2**31)
    await local.embed(NAME, texts[:8])
    began = time.monotonic()
    done = await local.embed(NAME, texts)
    spent = time.monotonic() - began
    await local.close()
    return done.tokens / spent


def run(corpus: Path, most: int, say: Callable[[str], None]) -> list[str]:
    """The lines of the report, over at most so many pages of the corpus, from all its parts."""
    models, files, wanted = fetch(MODELS).parent.resolve(), pages(corpus), questions()
    files = files[:: max(1, len(files) // most)][:most]
    with tempfile.TemporaryDirectory(prefix="retrieval-") as folder:
        cluster = Cluster(Path(folder), env={"PORTICO_LOCAL_MODELS": str(models)})
        try:
            portico = Portico(cluster.start().url, cluster.dev_token)
            portico.call("POST", "/v1/rerankers", {"key": "words", "name": "Words", "strategy": "heuristic"})
            make_module(portico, "docs", NAME)
            launcher = cluster.pid("launcher")
            before, began = tree(launcher), time.monotonic()
            failed = ingest(portico, "docs", corpus, files)
            spent = time.monotonic() - began
            cpu = tree(launcher).cpu_since(before)
            share = cpu.get("services.inference", 0.0) / sum(cpu.values())
            say(f"CPU seconds: {cpu}")
            module = portico.call("GET", "/v1/rag/modules/docs")["module"]
            say(f"{len(files)} files, {module['chunkCount']} chunks in {spent:.0f} s; failed: {failed}")
            time.sleep(2)  # usage is written in batches
            rate = tokens_used(portico) / spent
            sample = texts_of(portico, _SAMPLE)
            scores = {}
            for name, way in WAYS.items():
                scores[name] = measure(portico, way, wanted)
                say(f"{name}: {scores[name]}")
        finally:
            cluster.stop()
    best = asyncio.run(alone(models, sample))
    say(f"ingestion {rate:.0f} tokens/s, the model alone {best:.0f}")
    return [
        f"{len(files)} pages of Python's documentation (Debian's `python3-doc`), {module['chunkCount']} chunks of at",
        f"most 1,000 characters, all-MiniLM-L6-v2; {len(wanted)} questions written by hand. A question counts where a",
        f"page that answers it is among the first {FIRST} matches, or among the first {FIRST} pages (each once).",
        "",
        f"| query | in the first {FIRST} matches | in the first {FIRST} pages | mean reciprocal rank | ms a query |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {name} | {100 * each.found:.1f} % | {100 * each.found_pages:.1f} % | {each.reciprocal:.3f} "
            f"| {each.milliseconds:.0f} |"
            for name, each in scores.items()
        ),
        "",
        f"Ingestion took {spent:.0f} s: {rate:,.0f} tokens a second on {os.cpu_count()} cores, which is",
        f"{100 * rate / best:.0f} % of the {best:,.0f} of the model alone on a sample of the same texts. Of all CPU",
        f"time {100 * share:.0f} % went into the model, the rest into conversion, cutting, indexing and the edge.",
    ]


def write(path: Path, lines: Sequence[str]) -> None:
    """Put the report in its place in a page."""
    text = path.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, help="folder of the HTML pages")
    parser.add_argument("--files", type=int, default=10_000, help="most pages, for a quick look")
    parser.add_argument("--out", type=Path, help="page that has a place for the report")
    given = parser.parse_args()
    lines = run(given.corpus or default_corpus(), given.files, lambda line: print(line, flush=True))
    print("\n".join(lines))
    if given.out is not None:
        write(given.out, lines)


if __name__ == "__main__":
    main()
