import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import ConfigError, Secret, load
from core.sealing import TAMPERED, UNKNOWN_KEY, SealBroken, Sealer, SealingSettings, generate_key
from core.tenancy import MAIN, AllProjects, Project, Scope, Tenant

ACME, BETA = Tenant("acme"), Tenant("beta")
SCOPES: list[Scope] = [
    MAIN,
    ACME,
    BETA,
    AllProjects(ACME),
    Project(ACME, "p1"),
    Project(ACME, "p2"),
    Project(BETA, "p1"),
]
SEALER = Sealer.from_settings(generate_key("k1"))


@given(st.sampled_from(SCOPES), st.text(), st.binary())
def test_what_is_sealed_opens_in_its_place(scope: Scope, record_id: str, plaintext: bytes) -> None:
    assert SEALER.open(scope, record_id, SEALER.seal(scope, record_id, plaintext)) == plaintext


@given(st.binary(max_size=40), st.data())
def test_any_changed_character_breaks_the_seal(plaintext: bytes, data: st.DataObject) -> None:
    """Base64 ignores spare bits and foreign characters, so that changed texts could pass for the same."""
    sealed = SEALER.seal(ACME, "r", plaintext)
    place = data.draw(st.integers(0, len(sealed) - 1))
    character = data.draw(st.characters().filter(lambda each: each != sealed[place]))
    with pytest.raises(SealBroken):
        SEALER.open(ACME, "r", sealed[:place] + character + sealed[place + 1 :])


def test_any_flipped_bit_of_nonce_ciphertext_or_tag_breaks_the_seal() -> None:
    prefix, encoded = SEALER.seal(ACME, "r", b"secret").rsplit(".", 1)
    box = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    for bit in range(len(box) * 8):
        flipped = bytearray(box)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealBroken):
            SEALER.open(ACME, "r", f"{prefix}.{base64.urlsafe_b64encode(flipped).rstrip(b'=').decode()}")


@given(st.sampled_from(SCOPES), st.sampled_from(SCOPES), st.text(max_size=3), st.text(max_size=3))
def test_a_sealed_text_opens_nowhere_else(scope: Scope, other: Scope, record_id: str, other_id: str) -> None:
    sealed = SEALER.seal(scope, record_id, b"secret")
    if (scope, record_id) != (other, other_id):
        with pytest.raises(SealBroken) as caught:
            SEALER.open(other, other_id, sealed)
        assert caught.value.reason == TAMPERED


def test_every_scope_is_a_place_of_its_own() -> None:
    for scope in SCOPES:
        sealed = SEALER.seal(scope, "r", b"secret")
        for other in SCOPES:
            if other != scope:
                with pytest.raises(SealBroken):
                    SEALER.open(other, "r", sealed)


def test_a_seal_under_another_key_of_the_same_id_does_not_open() -> None:
    with pytest.raises(SealBroken) as caught:
        Sealer.from_settings(generate_key("k1")).open(ACME, "r", SEALER.seal(ACME, "r", b"secret"))
    assert caught.value.reason == TAMPERED


def test_the_same_secret_is_never_sealed_alike() -> None:
    assert len({SEALER.seal(ACME, "r", b"same") for _ in range(100)}) == 100


def test_the_text_has_version_key_id_and_base64url() -> None:
    version, key_id, encoded = SEALER.seal(ACME, "r", b"x" * 50).split(".")
    assert (version, key_id) == ("v1", "k1")
    assert set(encoded) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize(
    "garble",
    [
        lambda sealed: "",
        lambda sealed: "v1.k1",
        lambda sealed: "v1.k1.",
        lambda sealed: "v1.k1.AAAA",
        lambda sealed: sealed.replace("v1.", "v2."),
        lambda sealed: sealed + "=",
        lambda sealed: sealed + "\n",
        lambda sealed: " " + sealed,
        lambda sealed: sealed + ".x",
        lambda sealed: sealed[:-1],
    ],
)
def test_what_is_not_a_sealed_text_is_refused(garble: Callable[[str], str]) -> None:
    with pytest.raises(SealBroken) as caught:
        SEALER.open(ACME, "r", garble(SEALER.seal(ACME, "r", b"secret")))
    assert caught.value.reason == TAMPERED


def test_keys_rotate() -> None:
    old, new = generate_key("k1"), generate_key("k2")
    before, during = Sealer.from_settings(old), Sealer.from_settings(Secret(f"{new}, {old}"))
    after = Sealer.from_settings(new)
    sealed = before.seal(ACME, "r", b"secret")
    assert not before.needs_reseal(sealed)
    assert during.needs_reseal(sealed)
    resealed = during.seal(ACME, "r", during.open(ACME, "r", sealed))
    assert not during.needs_reseal(resealed)
    assert after.open(ACME, "r", resealed) == b"secret"
    with pytest.raises(SealBroken) as caught:
        after.open(ACME, "r", sealed)
    assert caught.value.reason == UNKNOWN_KEY


def test_the_caller_is_told_nothing_of_keys() -> None:
    sealed = SEALER.seal(ACME, "r", b"secret")
    with pytest.raises(SealBroken) as caught:
        Sealer.from_settings(generate_key("k9")).open(ACME, "r", sealed)
    assert "k1" not in caught.value.message
    assert "k9" not in caught.value.message


GOOD = "k1:" + base64.b64encode(bytes(range(32))).decode()  # not random: test runners need the same names every time


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        "k1",
        "k1:",
        "k1:c2hvcnQ=",
        "k1:not base64!",
        GOOD.split(":")[1],
        GOOD.replace("k1", "K1"),
        GOOD.replace("k1", "a" * 17),
        GOOD.replace("k1:", ":"),
        f"{GOOD},{GOOD}",
        f"{GOOD},k2:",
        ":".join(reversed(GOOD.split(":"))),
    ],
)
def test_wrong_keys_are_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ConfigError, match="sealing key") as caught:
        Sealer.from_settings(text)
    assert GOOD.split(":")[1] not in str(caught.value)


def test_a_sealer_does_not_show_its_keys() -> None:
    encoded = GOOD.split(":")[1]
    sealer = Sealer.from_settings(GOOD)
    assert encoded not in repr(sealer)
    assert encoded not in repr(vars(sealer))


@pytest.mark.parametrize("text", ["", "k1", "k1:short", "k1:%%%", "K1:" + "A" * 44])
def test_unusable_keys_are_a_mistake_of_the_configuration(text: str) -> None:
    """They ended the start with a traceback."""
    with pytest.raises(ConfigError, match=r"PORTICO_ENCRYPTION_KEYS|SealingSettings"):
        load(SealingSettings, {"PORTICO_ENCRYPTION_KEYS": text})
