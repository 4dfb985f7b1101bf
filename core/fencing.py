"""Fences around text that a model is given as data: two lines that the text cannot hold. Pure but for randomness."""

import secrets


def fenced(label: str, text: str) -> str:
    """The text between an opening and a closing line with a random mark, so that nothing in it can end the fence.
    `label` says what it is, in letters and hyphens."""
    mark = secrets.token_hex(8)
    while mark in text:
        mark = secrets.token_hex(8)
    return f"<{label} {mark}>\n{text}\n</{label} {mark}>"
