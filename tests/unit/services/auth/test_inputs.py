"""The rules for what callers write."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.tenancy import Tenant
from services.auth.domain import inputs


@settings(deadline=None)
@given(st.text(max_size=200))
def test_a_slug_made_from_any_name_is_empty_or_good(name: str) -> None:
    slug = inputs.slug_from(name)
    if slug:
        Tenant(slug)
        assert inputs.slug(slug, "slug") == slug


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Acme", "acme"),
        ("  Acme,  Inc. ", "acme-inc"),
        ("Crème Brûlée", "creme-brulee"),
        ("ﬁne", "fine"),
        ("東京", ""),
        ("!!!", ""),
        ("../../etc/passwd", "etc-passwd"),
        ("x" * 47 + " y", "x" * 47),
        ("x" * 60, "x" * 48),
    ],
)
def test_slugs(name: str, slug: str) -> None:
    assert inputs.slug_from(name) == slug


@pytest.mark.parametrize("given_slug", ["", "-a", "a-", "A", "a_b", "a/b", "a" * 49, "a\n", "ä"])
def test_what_is_no_slug(given_slug: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        inputs.slug(given_slug, "key")
    assert caught.value.field == "key"


@pytest.mark.parametrize("password", ["Abcdef1!", "Ab1 efgh", "Äbcdef1_", "Aa1!" * 64])
def test_good_passwords(password: str) -> None:
    assert inputs.password(password) == password


@pytest.mark.parametrize(
    "password", ["Abcde1!", "abcdef1!", "ABCDEF1!", "Abcdefg!", "Abcdefg1", "Aa1!" * 64 + "x", "Abcdef1!\x00", ""]
)
def test_bad_passwords(password: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        inputs.password(password, "newPassword")
    assert caught.value.field == "newPassword"
    assert not password or password not in caught.value.message


def test_a_text_is_trimmed_and_composed() -> None:
    assert inputs.NAME.check("  Jose\u0301 ") == "José"


@pytest.mark.parametrize("character", ["\x00", "\n", "\x7f", "\x85", "\u2028", "\u202e", "\u2066"])
def test_control_characters_are_refused(character: str) -> None:
    with pytest.raises(InvalidInput):
        inputs.NAME.check(f"a{character}b")


def test_a_description_may_have_lines() -> None:
    assert inputs.DESCRIPTION.check("a\n\tb\r\n") == "a\n\tb"
    with pytest.raises(InvalidInput):
        inputs.DESCRIPTION.check("a\x00b")


@settings(deadline=None)
@given(st.text(max_size=3000))
def test_no_text_breaks_a_rule_in_another_way(text: str) -> None:
    for rule in (inputs.NAME, inputs.DESCRIPTION, inputs.LABEL):
        with suppress(InvalidInput):
            assert rule.low <= len(rule.check(text)) <= rule.high


@settings(deadline=None)
@given(st.one_of(st.text(max_size=400), st.emails()))
def test_an_email_is_good_or_refused(text: str) -> None:
    with suppress(InvalidInput):
        assert len(inputs.email(text)) <= inputs.MAX_EMAIL


def test_an_email_keeps_its_local_part_and_no_name_is_looked_up() -> None:
    assert inputs.email(" Ann.Lee@NoSuchHost-4711.Example.COM ") == "Ann.Lee@nosuchhost-4711.example.com"
