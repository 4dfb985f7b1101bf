"""Rules of the glossary's table of retired words, as `make check` applies them."""

import pytest

from tools.words import GLOSSARY, ROOT, Retired, retired_words


@pytest.fixture(scope="module")
def words() -> list[Retired]:
    return retired_words(GLOSSARY.read_text())


def refused(words: list[Retired], path: str, text: str) -> bool:
    return any(path.startswith(word.folders) and word.pattern.search(f"{path}\n{text}") for word in words)


@pytest.mark.parametrize(
    "docstring",
    [
        "What others may come to refer to.",
        "How long it is kept.",
        "Whether the caller may.",
        "Of a request message.",
        "Deleting a project, step by step.",
    ],
)
def test_a_docstring_begins_with_no_riddle(words: list[Retired], docstring: str) -> None:
    assert refused(words, "core/example.py", f'"""{docstring}"""\n')
    assert refused(words, "services/auth/example.py", f'class A:\n    b = 1\n    """{docstring}"""\n')


@pytest.mark.parametrize(
    "docstring",
    [
        "Delete a record only if nothing references it.",
        "Return whether the caller may.",
        "True if reading is paused.",
        "Mapping of a server's errors to the error tree.",
        "Signing keys: publication, rotation.",
        "Nothing of the document stays.",
    ],
)
def test_plain_docstrings_pass(words: list[Retired], docstring: str) -> None:
    assert not refused(words, "core/example.py", f'"""{docstring}"""\n')


def test_rows_name_folders_that_exist(words: list[Retired]) -> None:
    for word in words:
        for folder in word.folders:
            assert (ROOT / folder).exists(), f"{word.pattern.pattern} names {folder}"
