"""Templates: the expressions they may use, those they may not, and the faults they report."""

from typing import Any

import pytest

from nurture.rendering.errors import MissingValue, TemplateFault
from nurture.rendering.mail_parts import MailParts
from nurture.rendering.render import render_parts
from nurture.rendering.render_state import STEPS_MAX
from tests.rendering.mails import FRONT, MEASURE, some_context, some_templates, templates_of

PATH = f"{MEASURE}/mail.en.mjml"


def parts(body: str, view: dict[str, Any] | None = None, text: str = "Hello") -> MailParts:
    templates = templates_of(body, text)
    return render_parts(templates, some_context(templates, view), reference=True)


def shown(expression: str, view: dict[str, Any] | None = None) -> str:
    """Return what an expression prints in a text part."""
    return parts("", {"contact": {}, **(view or {})}, text=expression).text.strip()


# ---- rendered parts --------------------------------------------------------------------------------------


def test_a_mail_has_subject_preheader_and_both_parts() -> None:
    templates = some_templates()
    made = render_parts(templates, some_context(templates))
    assert made.subject == "Thanks, Anna"
    assert made.preheader == "In short"
    assert "Hello Anna" in made.html
    assert "Guji &amp; co: €13.50" in made.html
    assert made.text.startswith(
        "Hello Anna\n- Guji & co: €13.50\n- Kettle: €89.00\nhttps://shop.test/cart?code="
    )
    assert "<title>Thanks, Anna</title>" in made.html
    assert made.html.startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("wanted", "locale"),
    [
        ("en", "en"),
        ("en-GB", "en"),
        ("zh-CN", "zh-CN"),
        ("zh_cn", "zh-CN"),
        ("zh-Hans-CN", "zh-CN"),
        ("zh", "zh-CN"),
        ("fr", "en"),
        (None, "en"),
        ("", "en"),
    ],
)
def test_people_get_the_locale_closest_to_theirs(wanted: str | None, locale: str) -> None:
    templates = some_templates()
    context = some_context(templates, locale=wanted)
    assert context["locale"] == locale
    assert ("退订" in render_parts(templates, context).html) == (locale == "zh-CN")


def test_a_variant_without_files_is_the_plain_mail() -> None:
    variant = {
        f"{MEASURE}/mail@b.en.mjml": FRONT + "<mjml><mj-body></mj-body></mjml>",
        f"{MEASURE}/mail@b.en.txt": "b",
    }
    templates = some_templates(variant)
    assert [some_context(templates, variant=name)["variant"] for name in ("", "a", "b")] == ["", "", "b"]
    assert render_parts(templates, some_context(templates, variant="b")).text == "b\n"


def test_markup_in_a_value_is_shown_and_not_run() -> None:
    made = parts("<mj-text>{{ contact.first_name }}</mj-text>", {"contact": {"first_name": "<b>&\"'</b>"}})
    assert "&lt;b&gt;&amp;&#34;&#39;&lt;/b&gt;" in made.html
    assert made.subject == "Thanks, <b>&\"'</b>"


@pytest.mark.parametrize("name", ["items", "keys", "values", "get", "copy", "update"])
def test_a_mapping_gives_its_keys_and_no_method(name: str) -> None:
    assert shown("{{ entity." + name + " }}", {"entity": {name: "mine"}}) == "mine"
    with pytest.raises(MissingValue, match=f"entity.{name} has no value"):
        shown("{{ entity." + name + " }}", {"entity": {"other": 1}})


def test_unknown_values_are_as_if_not_there() -> None:
    assert shown('{{ contact.plan | default("none") }}', {"contact": {"plan": None}}) == "none"
    assert shown("{% if contact.plan is defined %}yes{% endif %}no", {"contact": {"plan": None}}) == "no"


def test_blank_lines_of_a_text_part_do_not_pile_up() -> None:
    assert parts("", text="\n\na   \n\n\n\n\nb\n\n").text == "a\n\nb\n"


# ---- a missing value -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "variable", "line"),
    [
        ("<mj-text>{{ contact.plan }}</mj-text>", "contact.plan", 5),
        ("\n\n<mj-text>{{ deadline }}</mj-text>", "deadline", 7),
        ("{% for each in event.lines %}{% endfor %}", "event.lines", 5),
        ("{% if contact.plan == 1 %}{% endif %}", "contact.plan", 5),
        ("<mj-text>{{ deadline | date }}</mj-text>", "deadline", 5),
        ('<mj-text>{{ contact.spent | money("EUR") }}</mj-text>', "contact.spent", 5),
        ("<mj-text>{{ nobody.knows }}</mj-text>", "nobody", 5),
    ],
)
def test_a_missing_value_names_template_and_variable(body: str, variable: str, line: int) -> None:
    with pytest.raises(MissingValue) as caught:
        parts(body, {"contact": {}, "event": {}})
    assert caught.value.variable == variable
    assert str(caught.value).startswith(f"{PATH}:{line}: {variable} has no value: ")


@pytest.mark.parametrize(
    "body",
    [
        '{{ event.price | money("EUR") }}',
        "{{ event.price | date }}",
        "{{ event.price | number }}",
        "{{ event.price + 1 }}",
        "{{ event.price > 1 }}",
        '{{ 5 | money("euro") }}',
        "{{ 10 / event.zero }}",
        "{{ event.price * 2 }}",
        "{{ 7 // event.price }}",
        "{{ event.huge * event.huge }}",
        "{{ event.price | times(2) }}",
        "{{ 3 | times(event.list) }}",
        "{{ event.list | discount }}",
        "{{ '2026-06-12T13:00:00Z' | time('HH:mm', event.price) }}",
        "{{ '2026-06-12T13:00:00Z' | date('full', '../../etc/passwd') }}",
        "{{ event.price | city }}",
    ],
)
def test_a_value_of_the_wrong_kind_stops_this_mail_only(body: str) -> None:
    with pytest.raises(MissingValue, match=f"^{PATH}:5: a value cannot be used"):
        parts(
            f"<mj-text>{body}</mj-text>",
            {"contact": {}, "event": {"price": "cheap", "zero": 0, "huge": 10**15, "list": [1]}},
        )


@pytest.mark.parametrize("body", ["{{ event.address.title }}", "{{ event.address.format('x') }}"])
def test_a_text_in_place_of_a_mapping_stops_this_mail_only(body: str) -> None:
    assert (
        "Ring 1"
        in parts(
            "<mj-text>{{ event.address.title }}</mj-text>",
            {"contact": {}, "event": {"address": {"title": "Ring 1"}}},
        ).html
    )
    with pytest.raises(MissingValue, match=f"^{PATH}:5: a value has another kind"):
        parts(f"<mj-text>{body}</mj-text>", {"contact": {}, "event": {"address": "Ring 1"}})


# ---- bounds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "{{ 'a' * 1000000000 }}",
        "{{ 'a' | center(1000000000) }}",
        "{{ 10 ** 10 ** 7 }}",
        "{{ 9999999999 * 9999999999 }}",
        "{{ [1] * 100000000 }}",
        "{{ range(100000000) | length }}",
        "{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}",
        "{% for a in range(900) %}{% for b in range(20) %}" + "x" * 90 + "{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ '%0999999999d' | format(1) }}",
        "{{ '%0999999999d' % 1 }}",
        "{{ 'a'.ljust(1000000000) }}",
        "{{ '{0:999999999}'.format(1) }}",
        "{{ 'x' | batch(1000000000, 1) | list }}",
        "{{ 1 | round(1000000000, 'ceil') }}",
    ],
)
def test_a_template_that_would_run_away_is_stopped(body: str) -> None:
    with pytest.raises(TemplateFault):
        parts(f"<mj-text>{body}</mj-text>")


def test_loops_are_counted_over_the_whole_part() -> None:
    body = "{% for a in event.a %}{% for b in event.b %}{% endfor %}{% endfor %}"
    wide = {"contact": {}, "event": {"a": list(range(500)), "b": list(range(500))}}
    with pytest.raises(TemplateFault, match=f"more than {STEPS_MAX} steps"):
        parts(body, wide)


def test_a_part_that_grows_too_long_is_stopped_while_it_grows() -> None:
    loops = "{% for a in range(900) %}{% for b in range(20) %}" + "x" * 90 + "{% endfor %}{% endfor %}"
    with pytest.raises(TemplateFault, match="more than 1000000 characters"):
        parts("", text=loops)


@pytest.mark.parametrize(
    "body",
    [
        "{{ ''.__class__ }}",
        "{{ contact.__class__.__mro__ }}",
        "{{ contact['__class__'] }}",
        "{{ ''.join(['a']) }}",
        "{{ 'a'.upper() }}",
        "{{ [].append(1) }}",
        "{{ self.__init__ }}",
        "{{ contact.clear() }}",
        "{{ lipsum() }}",
        "{{ cycler(1) }}",
        "{{ dict(a=1) }}",
        "{{ namespace(a=1) }}",
        "{{ joiner() }}",
        "{{ contact.first_name | attr('upper') }}",
        "{{ contact.first_name | safe }}",
        "{{ contact | pprint }}",
        "{{ contact | tojson }}",
        "{{ [1, 2] | random }}",
        "{% include contact.first_name %}",
        "{% import contact.first_name as x %}",
        "{% extends contact.first_name %}",
        "{% include ['base', 'other'] %}",
        "{% include '/etc/passwd' %}",
        "{% include '../playbook.yaml' %}",
        f"{{% include '{MEASURE}/mail.en.txt' %}}",
        "{% include 'strings.en.yaml' %}",
        "{% for a in [1] recursive %}{% endfor %}",
        "{% for a in [1] %}" * 4 + "{% endfor %}" * 4,
        "{% do contact.pop('x') %}",
        "{{ config }}",
        "{{ loop }}",
    ],
)
def test_the_sandbox_refuses_unsafe_templates(body: str) -> None:
    with pytest.raises(TemplateFault):
        parts(f"<mj-text>{body}</mj-text>")


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("{{ locale.startswith('en') }}", "True"),
        ("{{ 'abc'.endswith('c') }}", "True"),
        (
            "{% for a in [1, 2] %}{{ loop.index }}{{ loop.last }}{{ loop.cycle('x', 'y') }} {% endfor %}",
            "1Falsex 2Truey",
        ),
        ("{{ range(3) | list | length }}", "3"),
        ("{{ [3, 1] | sort | join(',') }}", "1,3"),
        ("{{ 7 // 2 * 2 % 4 }}", "2"),
        ("{{ 2.456 | round(1) }} {{ 2.5 | round }}", "2.5 2"),
        ("{{ 'a b' | urlencode }}", "a%20b"),
        ("{{ [{'a': 1}, {'a': 2}] | sum(attribute='a') }}", "3"),
        ("{{ 'long words here' | truncate(9) }}", "long..."),
        ("{% set x = 1 %}{{ x + 1 }}", "2"),
        ("{% set x %}block{% endset %}{{ x | upper }}", "BLOCK"),
        ("{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m(1) }}", "[1]"),
    ],
)
def test_templates_may_use_these_expressions(expression: str, text: str) -> None:
    assert shown(expression) == text


# ---- faults of files -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({PATH: "no front"}, f"{PATH}:1: no front matter"),
        ({PATH: "---\nsubject: x\n"}, f"{PATH}:1: no front matter"),
        ({PATH: "---\nsubject: x\n---\n"}, f"{PATH}:1: no preheader"),
        ({PATH: "---\nsubject: ''\npreheader: x\n---\n"}, f"{PATH}:1: no subject"),
        ({PATH: "---\nsubject: x\npreheader: y\nfrom: me\n---\n"}, f"{PATH}:1: `from` in the front matter"),
        ({PATH: "---\nsubject: [x\npreheader: y\n---\n"}, f"{PATH}:3: not YAML"),
        ({PATH: "---\npreheader: y\nsubject: '{{ x'\n---\n"}, f"{PATH}:3: "),
        ({PATH: "---\nsubject: x\npreheader: y\n---\n\n\n{% if %}"}, f"{PATH}:7: "),
        ({PATH: FRONT + "\n{{ x | nonsense }}"}, f"{PATH}:6: "),
        ({PATH: FRONT + '{% extends "elsewhere" %}'}, f"{PATH}:1: no layout `elsewhere`"),
        ({f"{MEASURE}/mail.en.txt": None}, f"{MEASURE}/mail.en.txt:1: the file is missing"),
        ({f"{MEASURE}/mail.en.txt": "{{ }}"}, f"{MEASURE}/mail.en.txt:1: "),
        ({"_layout/base.mjml": "\n{% endif %}"}, "_layout/base.mjml:2: "),
        ({PATH: FRONT + "<mjml><mj-body><mj-text></mj-body></mjml>"}, f"{PATH}:1: MJML: "),
        ({PATH: FRONT + "x" * 300_000}, f"{PATH}:1: 300"),
    ],
)
def test_a_broken_file_is_reported_with_place_and_change(files: dict[str, str | None], fault: str) -> None:
    templates = some_templates(files)
    with pytest.raises(TemplateFault) as caught:
        render_parts(templates, some_context(templates))
    assert str(caught.value).startswith(fault)
    assert str(caught.value).count(": ") >= 2


def test_the_digest_changes_with_everything_the_mail_is_made_from() -> None:
    def digest(**changes: Any) -> str:
        return some_context(some_templates(changes.pop("files", {}), **changes))["template"]

    brand = {"name": "Other", "address": "x", "color": "red", "shop_url": "https://shop.test"}
    digests = [
        digest(),
        digest(files={"_layout/base.mjml": "<mjml><mj-body></mj-body></mjml>"}),
        digest(files={"_layout/parts.mjml": "{% macro line(a, b, c) %}{% endmacro %}"}),
        digest(files={"_layout/strings.en.yaml": "stop: Enough\n"}),
        digest(files={f"{MEASURE}/mail.en.txt": "other"}),
        digest(files={PATH: FRONT.replace("Thanks", "Many thanks") + "<mjml><mj-body></mj-body></mjml>"}),
        digest(brand=brand),
        digest(links={MEASURE: "https://shop.test/other"}),
    ]
    assert len(set(digests)) == len(digests)
    assert digest() == digests[0]
    assert digest(files={"lead/any/other/x.en.txt": "unrelated"}) == digests[0]
