"""Names of files and kinds of content."""

import pytest

from services.rag.domain.files.names import content_type


@pytest.mark.parametrize(
    ("given", "name", "expected"),
    [
        ("", "a.csv", "text/csv"),
        ("application/octet-stream", "a.csv", "text/csv"),
        (" Application/Octet-Stream; x=y", "a.pdf", "application/pdf"),
        ("application/octet-stream", "a.unknown-kind", "application/octet-stream"),
        ("", "a", "application/octet-stream"),
        ("text/x-own; charset=utf-8", "a.csv", "text/x-own; charset=utf-8"),
    ],
)
def test_what_the_client_does_not_know_the_name_says(given: str, name: str, expected: str) -> None:
    assert content_type("contentType", given, name) == expected
