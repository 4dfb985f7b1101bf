"""Hostile bodies, paths and queries on every REST route: never a 5xx, always JSON, and Portico still answers."""

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.test_contracts import METHODS
from tests.support.cluster import Cluster, Rest, Tenant

Route = tuple[str, str, MethodDescriptor]

RAW_FIELDS = (
    *(
        "model",
        "messages",
        "prompt",
        "input",
        "stream",
        "n",
        "tools",
        "stream_options",
        "encoding_format",
        "dimensions",
    ),
    *("vectors", "query", "ids", "filter", "fileName", "data", "metadata", "keyHint", "convertToMarkdown"),
)
"""Of bodies that no message describes: a service reads their JSON itself."""
REAL = "default"
"""The key of a vector provider, of an index in it, of a file provider, of a bucket and of a prompt: bodies are read
behind those."""
SPARED = {"Logout", "ChangePassword", "SwitchProject"}
"""Their success would end the session of the test."""


def routes() -> Iterator[Route]:
    for method in METHODS:
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        for each in (rule, *rule.additional_bindings):
            verb = each.WhichOneof("pattern")
            if verb is not None and method.name not in SPARED:
                yield verb.upper(), getattr(each, verb), method


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.text(max_size=30),
    st.sampled_from(
        ["", "\0", "../../x", "%2e%2e", "' OR 1=1 --", "a" * 5000, "💥", "\ud800", "echo", "*", "{}", "1e999"]
    ),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
raw_bodies = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [
            b"",
            b"{",
            b"null",
            b"[]",
            b'"x"',
            b"NaN",
            b'{"a":NaN}',
            b"\xff\xfe",
            b"[" * 5000,
            b'{"a":' * 5000,
            b'{"model":"echo","messages":' + b"[" * 3000 + b"]" * 3000 + b"}",
            b'{"model":"echo","model":"x","messages":[]}',
            b'{"model": 1e400}',
        ]
    ),
)


HOSTILE_VALUES = {
    "endless": b'{"x":' + b"[" * 100_000,
    "deep": b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "less deep": b'{"x":' * 900 + b"1" + b"}" * 900,
    "no UTF-8": b'"\xff"',
    "no UTF-8 in a name": b'{"\xff":1}',
    "no UTF-8 in a list": b'{"x":["\xc3\x28"]}',
    "half a character": b'"\\ud800"',
    "many digits": b"9" * 400,
    "large number": b"1e999",
    "long text": b'"' + b"x" * 100_000 + b'"',
}
"""JSON that is not to be read, or not by everybody."""
SHAPES = (
    b'{"model":"echo","messages":[{"role":"user","content":%s}]}',
    b'{"model":"echo","prompt":{"id":"default","variables":{"a":%s}}}',
    b'{"model":"echo","messages":[],"prompt":%s}',
    b'{"model":"echo-embedding","input":%s}',
    b'{"vectors":[{"id":"a","values":[1,0],"metadata":%s}]}',
    b'{"query":{"vector":[1,0],"filter":%s}}',
    b'{"ids":[%s]}',
    b'{"filter":%s}',
    b'{"data":{"a":%s}}',
    b'{"template":"a","metadata":%s}',
    b'{"fileName":"a","data":"YQ==","metadata":%s}',
    b'{"name":"a","key":"a","dimension":2,"driver":"echo","label":"a","metadata":%s}',
)
"""Bodies that are good but for one value."""


def bodies_of(method: MethodDescriptor) -> st.SearchStrategy[bytes]:
    names = [field.json_name for field in method.input_type.fields] + [*RAW_FIELDS, "unknownField"]
    objects = st.dictionaries(st.sampled_from(names), values, max_size=6)
    encoded = objects.map(lambda body: json.dumps(body).encode())
    return st.one_of(encoded, raw_bodies)


segments = st.one_of(
    st.just(REAL),
    st.text(min_size=1, max_size=20),
    st.sampled_from(["..", ".", "%", "\0", "a/b", "x" * 3000, "ü"]),
)


@pytest.fixture(scope="module")
def connection(cluster: Cluster) -> Iterator[http.client.HTTPConnection]:
    opened = http.client.HTTPConnection("127.0.0.1", cluster.port, timeout=30)
    yield opened
    opened.close()


def check(connection: http.client.HTTPConnection, token: str, verb: str, path: str, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request(verb, path, body if verb != "GET" else None, headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        assert text.endswith(b"data: [DONE]\n\n")
        return
    assert answer.status < 500, (verb, path, body[:200], text)
    if answer.status == 200 and answer.headers.get("content-type", "").startswith("text/plain"):  # for Prometheus
        assert text.endswith(b"\n")
        return
    parsed = json.loads(text)
    if answer.status >= 400:
        assert parsed["error"]["message"]
        for inside in ("Traceback", 'File "', "sqlite", "grpc", "envoy", "upstream connect"):
            assert inside not in parsed["error"]["message"], text


@pytest.fixture
async def real_records(rest: Rest, cluster: Cluster) -> None:
    index = {"name": REAL, "dimension": 2}
    await rest.ok("POST", f"/v1/vector/providers/{REAL}/indexes", index, token=cluster.dev_token)
    prompt = {"name": REAL, "key": REAL, "template": "{{#a}}{{b}}{{/a}}{{a}}"}
    assert (await rest.call("POST", "/v1/prompts", prompt, token=cluster.dev_token)).status in (201, 409)


@pytest.mark.usefixtures("real_records")
@pytest.mark.parametrize(
    ("verb", "template", "method"), list(routes()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_no_input_is_a_server_error(
    connection: http.client.HTTPConnection, cluster: Cluster, verb: str, template: str, method: MethodDescriptor
) -> None:
    token = cluster.dev_token
    query_names = [field.json_name for field in method.input_type.fields]

    @settings(
        max_examples=15,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(
        body=bodies_of(method), segment=segments, query=st.dictionaries(st.sampled_from(query_names or ["x"]), scalars)
    )
    def fuzz(body: bytes, segment: str, query: dict[str, Any]) -> None:
        check(connection, token, verb, _path(template, segment, query), body)

    fuzz()


@pytest.mark.usefixtures("real_records")
@pytest.mark.parametrize("value", HOSTILE_VALUES.values(), ids=HOSTILE_VALUES)
def test_one_hostile_value_in_a_good_body(
    connection: http.client.HTTPConnection, cluster: Cluster, value: bytes
) -> None:
    """Uploads fell over deeply nested notes, and vectors over notes that were no UTF-8: errors of ours, both."""
    for verb, template, _ in routes():
        if verb in ("POST", "PUT", "PATCH"):
            for shape in SHAPES:
                check(connection, cluster.dev_token, verb, _path(template, REAL, {}), shape % value)


def _path(template: str, segment: str, query: dict[str, Any]) -> str:
    filled = quote(segment.encode("utf-8", "replace"), safe="")
    while "{" in template:
        template = template[: template.index("{")] + filled + template[template.index("}") + 1 :]
    if not query:
        return template
    pairs = {name: str(value).encode("utf-8", "replace")[:2000] for name, value in query.items()}
    return f"{template}?{urlencode(pairs)}"


async def test_after_all_that_portico_still_answers(rest: Rest, tenant: Tenant) -> None:
    chat = {"model": "echo", "messages": [{"role": "user", "content": "fine?"}]}
    await rest.ok("POST", "/v1/chat/completions", chat, token=tenant.session)
    assert (await rest.call("GET", "/health/ready")).status == 200
