"""The outbound guard: what a tenant's URL may lead to."""

import asyncio
import socket

import pytest

from core.errors import InvalidInput
from core.http.errors import AddressRefused, TransportFailed
from core.http.guard import OutboundGuard
from core.http.origin import Origin
from tests.support.fake_upstream import FakeUpstream, Peer, Request, each
from tests.support.short_client import Connect, ShortClient

FIELD = "settings.baseUrl"


async def validate_url(guard: OutboundGuard, url: str) -> Origin:
    """As a provider's URL is checked when the provider is configured."""
    origin = Origin.parse(url, field=FIELD)
    await guard.validate_host(origin.host, origin.port, field=FIELD)
    return origin


PUBLIC = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "2001:4860:4860::8888", "::ffff:93.184.215.14"]
PUBLIC += ["64:ff9b::93.184.215.14", "2002:5db8:d70e::1", "2606:2800:21f::5efe:93.184.215.14"]
INTERNAL = [
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",
    "::ffff:0:93.184.215.14",
    "::93.184.215.14",
    "64:ff9b::127.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "64:ff9b:1::93.184.215.14",
    "2606:2800:21f::5efe:10.0.0.1",
    "2606:2800:21f::200:5efe:192.168.0.1",
    "2001::1",
    "2001:db8::1",
    "3fff::1",
    "100:0:0:1::1",
    "5f00::1",
    "4000::1",
    "2002:7f00:1::1",
    "2002:a00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "fe80::1",
    "fe80::1%1",
    "2001:4860:4860::8888%eth0",
    "::ffff:93.184.215.14%eth0",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
]


class Names:
    """A name server whose answer may change."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "unknown name")
        return self.addresses


@pytest.mark.parametrize("address", PUBLIC)
async def test_public_addresses_pass(address: str) -> None:
    guard = OutboundGuard(lookup=Names(address))
    assert await guard.addresses("api.example.com", 443) == [address]


@pytest.mark.parametrize("address", INTERNAL)
async def test_internal_addresses_are_refused(address: str) -> None:
    """Behind a name, and written into the URL."""
    with pytest.raises(AddressRefused):
        await OutboundGuard(lookup=Names(address)).addresses("api.example.com", 443)
    with pytest.raises(AddressRefused):
        await OutboundGuard(lookup=Names()).addresses(address, 443)


async def test_one_internal_address_among_public_ones_is_enough() -> None:
    with pytest.raises(AddressRefused):
        await OutboundGuard(lookup=Names("93.184.215.14", "10.0.0.1")).addresses("api.example.com", 443)


SPELLINGS = ["2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "0", "0.0.0.0", "localhost", "a.localhost"]
WIDE = "\uff11\uff12\uff17\u3002\uff10\u3002\uff10\u3002\uff11"
"""127.0.0.1 in full-width digits and ideographic full stops."""


@pytest.mark.parametrize("host", [*SPELLINGS, *(f"{each}." for each in SPELLINGS), WIDE, "127.0.0.1.", "[::]"])
async def test_other_spellings_of_loopback_are_refused(host: str) -> None:
    """The system's own lookup understands them, so what it makes of them is what counts."""
    with pytest.raises(AddressRefused):
        await OutboundGuard().addresses(host, 80)
    with pytest.raises(InvalidInput):
        await validate_url(OutboundGuard(), f"http://{host}:6334")


@pytest.mark.parametrize("host", ["a" * 70, "\ud800", "a..b", "-", "", ".", "\0", "x" * 10_000])
async def test_what_no_lookup_takes_is_refused_as_well(host: str) -> None:
    """A label that IDNA does not take is a UnicodeError of the resolver, not an OSError."""
    with pytest.raises(AddressRefused):
        await OutboundGuard().addresses(host, 80)


@pytest.mark.parametrize(
    ("entry", "host", "address"),
    [
        ("vllm.internal", "vllm.internal", "10.0.0.1"),
        ("VLLM.internal", "vllm.internal.", "10.0.0.1"),
        (".internal", "a.b.internal", "10.0.0.1"),
        ("10.0.0.0/8", "vllm.internal", "10.200.0.1"),
        ("10.0.0.0/8", "vllm.internal", "::ffff:10.200.0.1"),
        ("fd00::/8", "vllm.internal", "fd12::1"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
    ],
)
async def test_the_allowlist_makes_exceptions(entry: str, host: str, address: str) -> None:
    assert await OutboundGuard([entry], lookup=Names(address)).addresses(host, 80) == [address]


@pytest.mark.parametrize(
    ("entry", "host", "address"),
    [
        ("internal", "vllm.internal", "10.0.0.1"),
        (".internal", "internal", "10.0.0.1"),
        (".internal", "evilinternal", "10.0.0.1"),
        ("vllm.internal", "vllm.internal.example.com", "10.0.0.1"),
        ("10.0.0.0/8", "vllm.internal", "192.168.0.1"),
    ],
)
async def test_the_allowlist_says_no_more_than_it_says(entry: str, host: str, address: str) -> None:
    with pytest.raises(AddressRefused):
        await OutboundGuard([entry], lookup=Names(address)).addresses(host, 80)


@pytest.mark.parametrize("entry", ["", "*.internal", ".", "10.0.0.1/8", "10.0.0.0/99"])
def test_a_wrong_allowlist_is_an_error(entry: str) -> None:
    with pytest.raises(ValueError):
        OutboundGuard([entry])


async def test_the_guard_can_be_off() -> None:
    assert await OutboundGuard(enabled=False, lookup=Names("10.0.0.1")).addresses("x", 80) == ["10.0.0.1"]


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://api.example.com/v1/", Origin("https", "api.example.com", 443, "/v1")),
        ("HTTP://API.Example.com:8080", Origin("http", "api.example.com", 8080)),
        ("https://[2606:2800:21f::1]:8443/a/b", Origin("https", "2606:2800:21f::1", 8443, "/a/b")),
        ("https://bücher.example/", Origin("https", "xn--bcher-kva.example", 443)),
    ],
)
async def test_a_good_url_is_taken_apart(url: str, origin: Origin) -> None:
    assert await validate_url(OutboundGuard(lookup=Names("93.184.215.14")), url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com",
        "ftp://api.example.com",
        "file:///etc/passwd",
        "https://",
        "https:///v1",
        "https://user:secret@api.example.com",
        "https://api.example.com@evil.example",
        "https://api.example.com\\@evil.example",
        "https://api.example.com/v1?key=1",
        "https://api.example.com/v1#x",
        "https://api.example.com:0",
        "https://api.example.com:99999",
        "https://api.example.com:x",
        "https://api example.com",
        "https://api.example.com/a b",
        "https://api.example.com/\r\nX: y",
        "https://api..example.com",
        "https://-api.example.com",
        "https://[::1",
        "https://[not-an-address]",
        "https://" + "a." * 130 + "com",
    ],
)
async def test_a_bad_url_names_its_field(url: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        await validate_url(OutboundGuard(lookup=Names("93.184.215.14")), url)
    assert refusal.value.field == "settings.baseUrl"


ABSENT, INSIDE = Names(), Names("10.0.0.1")


async def test_a_name_that_does_not_exist_is_refused_like_one_that_leads_inside() -> None:
    """Otherwise a tenant could ask which names there are in our own network."""
    said = []
    for names in (ABSENT, INSIDE, Names("::ffff:0:10.0.0.1"), Names("93.184.215.14", "10.0.0.1")):
        with pytest.raises(InvalidInput) as configured:
            await validate_url(OutboundGuard(lookup=names), "https://internal.example.com")
        with pytest.raises(AddressRefused) as called:
            await OutboundGuard(lookup=names).addresses("internal.example.com", 443)
        errors = (configured.value, called.value)
        said.append([(type(each), each.message, each.reason, each.field, each.retry_after) for each in errors])
    assert said[0][0][3] == "settings.baseUrl"
    assert all(each == said[0] for each in said)
    assert "10.0" not in str(said)


@pytest.mark.parametrize("names", [ABSENT, INSIDE])
async def test_a_refusal_takes_the_same_time_whatever_the_lookup_took(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("core.http.guard.asyncio.sleep", sleep)
    began = asyncio.get_running_loop().time()
    with pytest.raises(AddressRefused):
        await OutboundGuard(lookup=names, refusal_seconds=1000).addresses("internal.example.com", 443)
    took = asyncio.get_running_loop().time() - began
    assert 999.9 - took < waited[0] < 1000.1


async def test_a_lookup_that_never_ends_is_a_name_without_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr("core.http.guard.LOOKUP_SECONDS", 0.01)
    with pytest.raises(AddressRefused):
        await OutboundGuard(lookup=never).addresses("api.example.com", 443)


async def _ok(peer: Peer, request: Request) -> None:
    await peer.respond(headers={"Connection": "close"})


async def test_every_new_connection_is_checked(connect: Connect) -> None:
    """DNS rebinding: a name that was harmless when it was configured, and is not any more."""
    names = Names("127.0.0.1")
    async with FakeUpstream(each(_ok)) as upstream:
        guard = OutboundGuard(["127.0.0.1"], lookup=names)
        client = ShortClient(f"http://api.example.com:{upstream.port}", guard)
        assert (await client.ask()).status == 200
        assert upstream.requests[0].headers["host"] == f"api.example.com:{upstream.port}"
        names.addresses = ["127.0.0.2"]
        with pytest.raises(AddressRefused) as refusal:
            await client.ask()
        assert "127" not in refusal.value.message
        assert upstream.connections == 1
        assert names.asked == 2  # once for each connection: what was checked is what was connected to
        await client.close()


async def test_the_next_address_is_tried() -> None:
    async with FakeUpstream(each(_ok)) as upstream:
        guard = OutboundGuard(["127.0.0.0/8"], lookup=Names("127.0.0.2", "127.0.0.1"))
        client = ShortClient(f"http://api.example.com:{upstream.port}", guard)
        assert (await client.ask()).status == 200
        await asyncio.wait_for(client.close(), 5)


async def test_an_unknown_name_is_a_transport_failure() -> None:
    client = ShortClient("http://api.example.com", OutboundGuard(lookup=Names()))
    with pytest.raises(TransportFailed) as failure:
        await client.ask()
    assert not failure.value.sent
    assert "example" not in failure.value.message
    await client.close()
