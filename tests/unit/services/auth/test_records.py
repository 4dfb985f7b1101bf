"""Records and documents are two spellings of the same."""

from core.storage.table import from_document, to_document
from services.auth.domain.records import ApiToken, SigningKey, User

USER = User(
    id="u1",
    email="Ann@example.com",
    email_lower="ann@example.com",
    name="Ann",
    role="user",
    created_at=1.5,
    password_hash="$argon2id$secret",
    overrides={"audit": "read"},
    project_ids=("p1", "p2"),
)


def test_a_record_survives_being_a_document() -> None:
    token = ApiToken("t1", "ci", "abc123", "p1", "u1", ("*",), 1.0)
    key = SigningKey("k1", "x", "y", 1.0, slot="next", sealed="v1.k1.x")
    for record in (USER, token, key):
        assert from_document(type(record), to_document(record)) == record


def test_a_document_holds_no_empty_fields() -> None:
    assert "expiresAt" not in to_document(ApiToken("t1", "ci", "abc123", "p1", "u1", ("*",), 1.0))


def test_fields_are_spelt_as_in_json() -> None:
    assert to_document(USER) == {
        "id": "u1",
        "email": "Ann@example.com",
        "emailLower": "ann@example.com",
        "name": "Ann",
        "role": "user",
        "createdAt": 1.5,
        "passwordHash": "$argon2id$secret",
        "overrides": {"audit": "read"},
        "projectIds": ("p1", "p2"),
        "status": "active",
        "mustChangePassword": False,
        "sessionsFrom": 0.0,
        "revision": 1,
        "knownNetworks": (),
    }


def test_a_record_does_not_show_its_hash() -> None:
    assert "argon2" not in repr(USER)


def test_a_document_of_a_later_version_is_still_read() -> None:
    assert from_document(User, {**to_document(USER), "somethingNew": 1}) == USER
