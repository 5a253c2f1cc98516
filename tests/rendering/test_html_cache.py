"""The cache of HTML gives, byte for byte, the result of the reference path, or it is not used."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nurture.rendering import html_cache
from nurture.rendering.errors import TemplateFault
from nurture.rendering.html_cache import HtmlCache, MarkedText
from nurture.rendering.marks import CLOSE, OPEN
from nurture.rendering.render import render, render_parts
from nurture.rendering.templates import Templates
from tests.rendering.mails import LINES, some_context, some_templates, templates_of
from tests.rig.examples import examples

SHARED = some_templates()


def views(name: Any = "Anna", lines: Any = LINES) -> dict[str, Any]:
    return {"contact": {"first_name": name}, "entity": {"lines": lines}}


def both_ways(templates: Templates, view: dict[str, Any]) -> str:
    """Render twice with the cache (which records first) and once without; return the HTML, equal in all."""
    context = some_context(templates, view)
    first, second = render_parts(templates, context), render_parts(templates, context)
    assert first == second == render_parts(templates, context, reference=True)
    return second.html


def usable_entries(templates: Templates) -> int:
    return sum(split is not None for split in templates.html_cache._entries.values())


def test_one_entry_serves_every_mail_of_the_same_structure(monkeypatch: pytest.MonkeyPatch) -> None:
    templates = some_templates()
    both_ways(templates, views())
    assert usable_entries(templates) == 1

    def refuse(_: str) -> str:
        raise AssertionError("the reference path was taken")

    monkeypatch.setattr("nurture.rendering.reference_path.to_html", refuse)
    for name in ("Bo", "王芳", "Zoë & Co", "O'Hara", "x" * 200):
        html = render_parts(templates, some_context(templates, views(name))).html
        assert "Guji &amp; co" in html
    assert usable_entries(templates) == 1


def test_another_structure_is_another_entry() -> None:
    templates = some_templates()
    for count in range(4):
        both_ways(templates, views(lines=LINES[:1] * count))
    assert usable_entries(templates) == 4


@settings(max_examples=examples(150), deadline=None)
@given(
    name=st.text(max_size=30)
    | st.sampled_from(["<b>x</b>", " Anna ", "a\\b", "\u202f", "a\nb", "{{ x }}", "&amp;", "\ue0000\ue001"]),
    lines=st.lists(
        st.fixed_dictionaries({"name": st.text(max_size=12), "price": st.integers(0, 9999)}), max_size=3
    ),
)
def test_both_ways_are_equal_for_every_value(name: str, lines: list[dict[str, Any]]) -> None:
    both_ways(SHARED, views(name, lines))


@pytest.mark.parametrize(
    "name",
    [
        "<b>",
        " x",
        "x ",
        "",
        "a\nb",
        "a\tb",
        "a  b",
        "\\",
        "e\u0301",
        "👩‍👩‍👧",
        "\u202eevil",
        "a\u00a0b",
        "\x00",
        "\ud800",
        "\ue000",
        "qzslot0zq",
    ],
)
def test_awkward_names_come_out_the_same_both_ways(name: str) -> None:
    templates = some_templates()
    both_ways(templates, views())
    both_ways(templates, views(name))


@pytest.mark.parametrize(
    "body",
    [
        # MRML calculates with these: the slots may give other HTML, and then the entry is not used.
        '<mj-image width="{{ contact.n }}px" src="https://x.test/a.png" alt="a" />',
        '<mj-text padding="{{ contact.n }}px">a</mj-text>',
        '<mj-text font-size="{{ contact.n }}px">a</mj-text>',
        '<mj-spacer height="{{ contact.n }}px" />',
        '<mj-divider border-width="{{ contact.n }}px" />',
        '<mj-button width="{{ contact.n }}px" href="https://x.test">a</mj-button>',
        '<mj-text css-class="{{ contact.n }}">a</mj-text>',
        "<mj-raw>{{ contact.n }}</mj-raw>",
        "<mj-table><tr><td>{{ contact.n }}</td></tr></mj-table>",
        "<mj-text>{{ contact.n }}</mj-text><mj-text>{{ contact.n * 2 }}</mj-text>",
        "<mj-text>{% set x %}[{{ contact.n }}]{% endset %}{{ x }} {{ x | length }} {{ x | upper }}</mj-text>",
        "<mj-text>{% macro m() %}{{ contact.n }}{% endmacro %}{% if m() == '20' %}twenty{% endif %}</mj-text>",
        "<mj-text>{{ contact.n }}{# nothing #}</mj-text>",
        '<mj-text><a href="{{ links.call_to_action }}&x={{ contact.n }}">a</a></mj-text>',
        "<mj-text>qzslot0zq {{ contact.n }}</mj-text>",
        "<mj-{{ 'text' }}>{{ contact.n }}</mj-{{ 'text' }}>",
    ],
)
def test_both_ways_are_equal_for_values_that_change_the_layout(body: str) -> None:
    templates = templates_of(body)
    for number in (20, 7, 20, 300, 1):
        both_ways(templates, {"contact": {"first_name": "A", "n": number}, "entity": {"lines": []}})


@pytest.mark.parametrize(
    "body",
    [
        "{% macro m() %}{{ contact.n }}{% endmacro %}{% if m() == '20' %}twenty{% endif %}",
        "{% set x %}{{ contact.n }}{% endset %}{{ 'twenty' if x == '20' }}",
        "{% macro m() %}{{ contact.n }}{% endmacro %}{{ m() | length }}",
        "{% autoescape false %}{{ contact.n }}{% endautoescape %}",
    ],
)
def test_text_that_a_template_reads_holds_no_marks(body: str) -> None:
    templates = templates_of(f"<mj-text>{body}</mj-text>")
    for number in (7, 7, 20, "<b>x</b>"):
        both_ways(templates, {"contact": {"first_name": "A", "n": number}, "entity": {"lines": []}})


def test_a_value_that_changes_the_layout_does_not_become_a_slot() -> None:
    templates = templates_of('<mj-image width="{{ contact.n }}px" src="https://x.test/a.png" alt="a" />')
    for number in (20, 300):
        both_ways(templates, {"contact": {"first_name": "A", "n": number}, "entity": {"lines": []}})
    assert usable_entries(templates) == 0


def test_html_that_depends_on_a_value_is_not_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    # MRML treats one probe in another way here, so the entry is refused.
    marked = MarkedText.parse(f"<mjml><mj-body>{OPEN}a{CLOSE}</mj-body></mjml>")
    assert marked is not None
    monkeypatch.setattr(html_cache, "to_html", lambda mjml: mjml.replace("w" * 300, "w"))
    cache = HtmlCache()
    assert not cache.add(marked, marked.with_slots(["a"]))
    assert cache.find(marked) is None


def test_only_the_entries_used_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_cache, "ENTRIES_MAX", 2)
    templates = some_templates()
    for count in (0, 1, 2, 0):
        both_ways(templates, views(lines=LINES[:1] * count))
    assert len(templates.html_cache._entries) == 2


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "JavaScript :x", "data:text/html,x", "vbscript:x", "file:///etc/passwd"]
)
def test_a_link_that_could_be_run_stops_the_mail(link: str) -> None:
    templates = templates_of('<mj-text><a href="{{ event.link }}">a</a></mj-text>')
    fine = {"contact": {}, "event": {"link": "https://x.test"}, "entity": {}}
    both_ways(templates, fine)
    with pytest.raises(TemplateFault, match="a link that could be run"):
        render(templates, some_context(templates, {**fine, "event": {"link": link}}))


def test_text_that_only_looks_like_a_scheme_is_text() -> None:
    templates = templates_of("<mj-text>{{ contact.first_name }}</mj-text>")
    assert "data: the truth" in both_ways(
        templates, {"contact": {"first_name": "data: the truth"}, "entity": {}}
    )


def test_text_that_ends_the_parser_of_mjml_is_an_error_of_the_template() -> None:
    mjml = "<mjml><mj-body><mj-section><mj-column><mj-text>{}</mj-text></mj-column></mj-section></mj-body></mjml>"
    with pytest.raises(ValueError, match="MRML cannot read it"):
        html_cache.to_html(mjml.format("\u00d8\U000fd546\U000e8707>a\u00d8\U000fd546\U000e8707>"))
