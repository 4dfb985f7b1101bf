"""Templates: Mustache without HTML escaping, bounded, and closed to all but their data."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput
from services.inference.domain.prompts.parsing import MAX_CHARACTERS, MAX_DEPTH, MAX_NAME, MAX_TAGS
from services.inference.domain.prompts.templates import MAX_OUTPUT, MAX_STEPS, compile_template

SPECIFICATION = json.loads((Path(__file__).parent / "mustache_spec.json").read_text())["tests"]
"""Of Mustache itself. Where it escapes HTML, the text is as it is here."""


def render(template: str, data: Any = None) -> str:
    return compile_template(template).render(data or {})


def refusal(template: str, data: Any = None) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        render(template, data)
    return caught.value


def unescaped(text: str) -> str:
    return text.replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


@pytest.mark.parametrize("case", SPECIFICATION, ids=lambda case: str(case["name"]))
def test_the_specification_of_mustache(case: dict[str, Any]) -> None:
    data, template = case["data"], case["template"]
    if not isinstance(data, dict):
        data, template = {"all": [data]}, "{{#all}}" + template + "{{/all}}"
    assert render(template, data) == unescaped(case["expected"])


def test_nothing_is_escaped() -> None:
    """Quotes and angle brackets arrived as HTML entities."""
    text = """<b>"Tom" & 'Jerry'</b> `x` {{y}} / = \\ &amp;"""
    for tag in ("{{a}}", "{{{a}}}", "{{&a}}"):
        assert render(tag, {"a": text}) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (1.5, "1.5"),
        (-3, "-3"),
        ({"a": [1, "x"]}, '{"a":[1,"x"]}'),
        ([], "[]"),
        ("", ""),
    ],
)
def test_values_as_text(value: Any, text: str) -> None:
    assert render("{{v}}", {"v": value}) == text


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, 0), (False, 0), (0, 0), (0.0, 0), ("", 0), ([], 0), ({}, 1), (True, 1), (1, 1), ("a", 1), ([0, None], 2)],
)
def test_what_a_section_takes_for_true(value: Any, shown: int) -> None:
    assert render("{{#v}}x{{/v}}", {"v": value}) == "x" * shown
    assert render("{{^v}}x{{/v}}", {"v": value}) == ("" if shown else "x")


def test_entries_of_lists_by_number() -> None:
    assert render("{{a.0.b}}{{a.2}}{{a.-1}}{{a.99999999999}}", {"a": [{"b": "x"}, "y"]}) == "x"


@pytest.mark.parametrize(
    "name",
    ["__class__", "a.__class__.__mro__", "a.keys", "b.append", "b.length", "self", "s.format", "s.upper", "n.real"],
)
def test_a_template_reads_nothing_but_its_data(name: str) -> None:
    """No attributes, methods or globals: other libraries look them up with getattr."""
    assert render("{{" + name + "}}{{#" + name + "}}x{{/" + name + "}}", {"a": {}, "b": [1], "s": "x", "n": 1}) == ""


@pytest.mark.parametrize(
    ("template", "part"),
    [
        ("a\n{{>other}}", "Line 2"),
        ("{{>/etc/passwd}}", "partial"),
        ("{{<layout}}{{/layout}}", "parent"),
        ("{{$block}}{{/block}}", "block"),
        ("{{#a}}", "{{/a}}"),
        ("{{#a}}\n{{#b}}{{/a}}{{/b}}", "Line 2"),
        ("{{/a}}", "no section"),
        ("{{a", "not closed"),
        ("{{{a}}", "not closed"),
        ("{{", "not closed"),
        ("{{}}", "not a name"),
        ("{{ }}", "not a name"),
        ("{{a b}}", "not a name"),
        ("{{a..b}}", "not a name"),
        ("{{.a}}", "not a name"),
        ('{{"key": 1}}', "choose other delimiters"),
        ("{{=}}", "not closed"),
        ("{{==}}", "delimiters"),
        ("{{=<%=}}", "delimiters"),
        ("{{=a b c=}}", "delimiters"),
        ("{{" + "x" * (MAX_NAME + 1) + "}}", "characters"),
        ("{{#a}}" * (MAX_DEPTH + 1), "deep"),
        ("{{a}}" * (MAX_TAGS + 1), "tags"),
        ("x" * (MAX_CHARACTERS + 1), "characters"),
    ],
)
def test_a_bad_template_is_refused(template: str, part: str) -> None:
    error = refusal(template)
    assert error.field == "template"
    assert part in error.message


def test_braces_as_they_are() -> None:
    assert render('{{=<% %>=}}{"a": {{"b": <%c%>}}}', {"c": 1}) == '{"a": {{"b": 1}}}'


class TestBounds:
    def test_of_the_text(self) -> None:
        """A list within itself makes a text of any length from a template of a hundred characters."""
        data = {"a": list(range(100)), "t": "x" * 1000}
        nested = "{{#a}}" * 4 + "{{t}}" + "{{/a}}" * 4
        error = refusal(nested, data)
        assert (error.field, error.reason) == ("data", "PROMPT_TOO_LONG")
        assert len(render("{{t}}", {"t": "x" * MAX_OUTPUT})) == MAX_OUTPUT
        assert refusal("{{t}}", {"t": "x" * (MAX_OUTPUT + 1)}).reason == "PROMPT_TOO_LONG"

    @pytest.mark.parametrize("body", ["", "{{^a}}{{/a}}", "{{nothing}}", "{{!}}"])
    def test_of_the_steps(self, body: str) -> None:
        """Sections that write nothing cost time as well."""
        data = {"a": [0] * 1000}
        error = refusal("{{#a}}" * 8 + body + "{{/a}}" * 8, data)
        assert (error.field, error.reason) == ("data", "PROMPT_TOO_COSTLY")
        assert refusal("{{#a}}{{/a}}", {"a": [0] * (MAX_STEPS + 1)}).reason == "PROMPT_TOO_COSTLY"

    def test_of_looking_names_up(self) -> None:
        """A name that is nowhere is looked for in all contexts: thirty of them took the time of thirty steps."""
        template = "{{#a}}" * 30 + "{{#b}}{{nowhere}}{{/b}}" + "{{/a}}" * 30
        assert render(template, {"a": {"c": 1}, "b": [0] * 1000}) == ""
        assert refusal(template, {"a": {"c": 1}, "b": [0] * 2000}).reason == "PROMPT_TOO_COSTLY"

    async def test_a_long_rendering_lets_others_go_on(self) -> None:
        """All of it ran on the event loop. Counts turns: the loop has some while the worker thread renders."""
        template = compile_template("{{#a}}{{#a}}{{b}}{{/a}}{{/a}}")
        data = {"a": list(range(1, 101)), "b": "x"}
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(others())
        assert await template.render_fairly(data) == template.render(data) == "x" * 10_000
        beside.cancel()
        assert turns > 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcde"), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(["a", "b", "a.b", "c.0", ".", "e.d.c", "x"])
tags = st.one_of(
    names.map("{{{{{}}}}}".format),
    names.map("{{{{{{{}}}}}}}".format),
    *(names.map((f"{{{{{kind}" + "{}}}}}").format) for kind in "#^/&!"),
    st.sampled_from(
        ["{{", "}}", "{{=<% %>=}}", "<%a%>", "<%={{ }}=%>", "{{>a}}", "\n", " ", "\r\n", "text", "{", "}}}"]
    ),
)


@settings(max_examples=4 * settings().max_examples)
@given(template=st.lists(tags, max_size=12).map("".join) | st.text("{}#^/!=&>. ab\n<%", max_size=30), data=json_values)
def test_any_template_renders_or_is_refused(template: str, data: Any) -> None:
    with suppress(InvalidInput):
        assert len(render(template, {"a": data, "b": [data, data]})) <= MAX_OUTPUT


@given(text=st.text(max_size=200), value=st.text(max_size=50))
def test_text_and_values_arrive_as_they_were(text: str, value: str) -> None:
    """Whatever they hold, tags included: a value is not a template."""
    if "[[" in text + "x":
        return
    assert render("{{=[[ ]]=}}x" + text + "[[v]]", {"v": value}) == "x" + text + value
