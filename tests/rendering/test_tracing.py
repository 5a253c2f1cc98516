"""Recordings: a filled recording equals the run, byte for byte; a mail without a recording runs."""

import functools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nurture.rendering.context import MailContext
from nurture.rendering.encoded_body import encode_pieces
from nurture.rendering.errors import TemplateFault
from nurture.rendering.mail_parts import MailParts
from nurture.rendering.mime import LINE_MAX, html_body
from nurture.rendering.render import render, render_parts, to_bytes
from nurture.rendering.templates import Template, Templates
from nurture.rendering.tracing import cache
from nurture.rendering.tracing.cache import CHECKS_PER_RECORDING, Recordings
from nurture.rendering.tracing.values import TracedValue
from tests.programme import samples
from tests.programme.samples import Mail
from tests.rendering.mails import FRONT, LINES, MEASURE, some_context, templates_of
from tests.rig.examples import examples

# Every kind of question about a value, and every use of it.
BODIES = [
    "<mj-text>{{ contact.n }}</mj-text>",
    "<mj-text>{{ contact.n | default('nobody') }}{% if contact.n is defined %} is there{% endif %}</mj-text>",
    "<mj-text>{{ 'Hi ' ~ contact.n if contact.n else 'Hello' }}</mj-text>",
    "<mj-text>{% if contact.n == 'Anna' or contact.m > 2 %}A{% elif contact.n < 'b' %}B{% endif %}</mj-text>",
    "<mj-text>{% if contact.n in ['Anna', 7] %}one{% endif %}{% if 'n' in contact.n %}two{% endif %}</mj-text>",
    "<mj-text>{{ contact.n | upper }} {{ contact.n | length }} {{ contact.n | truncate(5) }}</mj-text>",
    "<mj-text>{{ contact.m + 1 }} {{ 2 - contact.m }} {{ contact.m / 4 }} {{ -contact.m }}</mj-text>",
    "<mj-text>{{ contact.m * 3 }} {{ contact.m // 2 }} {{ contact.m % 2 }} {{ contact.m | round(1) }}</mj-text>",
    "<mj-text>{% if contact.m is number %}{{ contact.m | money('EUR') }}{% endif %}{{ contact.n is string }}</mj-text>",
    "<mj-text>{% set x %}[{{ contact.n }}]{% endset %}{{ x }} {{ x | length }}</mj-text>",
    "<mj-text>{% set x %}[{{ contact.n }}]{% endset %}{{ x ~ '!' }}{{ x + '?' }}</mj-text>",
    "<mj-text>{% macro m() %}{{ contact.n }}{% endmacro %}{% if m() == '7' %}seven{% endif %}{{ m() }}</mj-text>",
    "<mj-text>{% macro m() %}{{ contact.n }}{% endmacro %}{{ 'full' if m() else 'empty' }}</mj-text>",
    "<mj-text>{% macro m() %}{{ contact.n }}{% endmacro %}{{ not m() }}{{ m() and 'x' }}{{ m() or 'y' }}</mj-text>",
    "<mj-text>{% macro m() %}{{ contact.n }}{% endmacro %}{% for c in m() %}{{ c }}.{% endfor %}</mj-text>",
    "<mj-text>{% macro m() %}{{ contact.n }}{% endmacro %}{{ m().startswith('A') }}{{ m() in ['7'] }}</mj-text>",
    "<mj-text>{% macro m(v) %}{% if v %}({{ v }}){% endif %}{% endmacro %}{{ m(contact.n) }}{{ m('x') }}</mj-text>",
    "<mj-text>{% macro m() %}{{ caller() | upper }}{% endmacro %}{% call m() %}{{ contact.n }}{% endcall %}</mj-text>",
    "<mj-text>{% filter upper %}{{ contact.n }}{% endfilter %}</mj-text>",
    "<mj-text>{% for l in entity.lines %}{{ loop.index }}{{ l.name }}{{ ', ' if not loop.last }}{% endfor %}</mj-text>",
    "<mj-text>{% for l in entity.lines if l.price > 3 %}{{ l.name }}{% else %}none{% endfor %}</mj-text>",
    "<mj-text>{% for l in entity.lines %}{% if loop.changed(l.price) %}{{ l.price }}{% endif %}{% endfor %}</mj-text>",
    "<mj-text>{{ entity.lines | length }}{{ entity.lines | map(attribute='name') | join(', ') }}</mj-text>",
    "<mj-text>{% for l in entity.lines | sort(attribute='price') %}{{ l.name }}{% endfor %}</mj-text>",
    "<mj-text>{{ entity.lines | sum(attribute='price') }} {{ [contact.n, contact.m] | join('/') }}</mj-text>",
    "<mj-text>{% for a, b in [(contact.n, 1), ('x', contact.m)] %}{{ a }}{{ b }}{% endfor %}</mj-text>",
    "<mj-text>{{ {'Anna': 'known'}[contact.n] | default('unknown') }}{{ contact['n'] | default('-') }}</mj-text>",
    "<mj-text>{{ ['a', 'b'] | map('upper') | join(contact.n) }}</mj-text>",
    "<mj-text>{{ entity.lines[0].name | default('nothing') }}</mj-text>",
    "<mj-text>{{ [contact.n, 'b'] | first }}{{ [contact.m, 2] | max }}{{ contact }}</mj-text>",
    "<mj-text>{% for i in range(contact.m) %}{{ i }}{% endfor %}</mj-text>",
    "<mj-text>{{ contact.m | date }} {{ contact.m | time }}</mj-text>",
    "<mj-text>{% if contact.m | date == 'January 1, 1970' %}long ago{% endif %}</mj-text>",
    "<mj-text>{% autoescape false %}{{ contact.n }}{{ 'a' ~ contact.n }}{% endautoescape %}</mj-text>",
    "<mj-text>{{ contact.n | e }}{{ subject }}{{ 'long' if subject | length > 12 else 'short' }}</mj-text>",
    '<mj-image width="{{ contact.m }}px" src="https://x.test/a.png" alt="{{ contact.n }}" />',
    '<mj-text><a href="{{ links.call_to_action }}&x={{ contact.n }}">a</a></mj-text>',
    '<mj-text><a href="java{{ contact.n }}">a</a></mj-text>',
    '<mj-text><a href="{{ contact.n }}{{ contact.n }}:x">a</a></mj-text>',
]
NAMES = st.sampled_from(
    [
        "Anna",
        "Bo",
        "",
        "7",
        "O'Hara & <b>",
        " x",
        "x ",
        "a\nb",
        "王芳",
        "java",
        "script:x",
        "{{ x }}",
        7,
        0,
        True,
        None,
    ]
) | st.text(max_size=6)
VIEWS = st.fixed_dictionaries(
    {},
    optional={
        "contact": st.fixed_dictionaries(
            {}, optional={"n": NAMES, "m": st.integers(-3, 9), "first_name": NAMES}
        ),
        "entity": st.fixed_dictionaries(
            {},
            optional={
                "lines": st.lists(
                    st.fixed_dictionaries(
                        {"name": NAMES}, optional={"price": st.integers(0, 9), "quantity": st.integers(0, 2)}
                    ),
                    max_size=3,
                )
            },
        ),
    },
)


def made(
    templates: Templates, context: MailContext, *, reference: bool = False
) -> tuple[MailParts, bytes] | str:
    """Return the parts and the mail, or the text of the fault."""
    try:
        parts = render_parts(templates, context, reference=reference)
        return parts, to_bytes(templates, context, parts) if reference else render(templates, context)
    except TemplateFault as fault:
        return str(fault)


def template_of(templates: Templates, context: MailContext) -> Template:
    return templates.template(context["measure"], context["mail"], context["variant"], context["locale"])


def recorded(templates: Templates, view: dict[str, Any]) -> Recordings:
    """Render mails of the view until its recording has passed its checks."""
    context = some_context(templates, view)
    for _ in range(2 + CHECKS_PER_RECORDING):
        made(templates, context)
    return template_of(templates, context).recordings


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Use a recording without checks, so that a wrong one shows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "CHECKS_PER_RECORDING", 0)
        yield


@pytest.mark.parametrize("body", BODIES)
def test_a_filled_recording_equals_the_run_for_every_kind_of_question(unchecked: None, body: str) -> None:
    text = "Dear " + body.replace("<mj-text>", "").replace("</mj-text>", " \n\n\n.")
    templates = templates_of(body, text)

    @settings(max_examples=examples(12), deadline=None)
    @given(views=st.lists(VIEWS, min_size=1, max_size=3))
    def compare(views: list[dict[str, Any]]) -> None:
        for view in (*views, *views, *views):
            context = some_context(templates, {"contact": {}, **view})
            assert made(templates, context) == made(templates, context, reference=True)

    compare()


# Templates of BODIES that run for every mail: they read text that they printed, or use values in an untraceable way.
RUN = (
    "x | length", "x ~ '!'", "m() ==", "if m()", "not m()", "in m()", "m().starts", "caller()", "filter upper",
    "changed(", "map(", "sort(", "[0]", "range(", "autoescape", "width=", "java{", ":x",
)  # fmt: skip


@pytest.mark.parametrize("body", BODIES)
def test_templates_that_can_be_traced_are_recorded(body: str) -> None:
    templates = templates_of(body)
    view = {"contact": {"n": "Anna", "m": 3, "first_name": "Anna"}, "entity": {"lines": LINES}}
    assert recorded(templates, view)._count == (not any(part in body for part in RUN))


@functools.cache
def unused_templates() -> Templates:
    """Return the shipped templates, of which no other file's tests have recorded anything."""
    return Templates.of(samples.loaded().files, samples.loaded().playbook)


#: Mails that print Chinese values into the HTML, or so many values into one line that it may grow too long.
_ENCODED_ANEW = frozenset(
    {
        "any/payment_failed/notice.zh-CN",
        "any/payment_failed/reminder.zh-CN",
        *(
            f"{track}/any/appointment/{mail}"
            for track in ("customer", "lead")
            for mail in ("confirmation.en", "reminder.en", "reminder.zh-CN")
        ),
        "customer/any/appointment/confirmation.zh-CN",
        "customer/any/case_acknowledged/received.zh-CN",
        "lead/any/appointment/confirmation.zh-CN",
        "lead/any/case_acknowledged/received.zh-CN",
    }
)


@pytest.mark.parametrize("mail", [mail for mail in samples.mails() if samples.has_recording(mail)], ids=str)
def test_every_shipped_mail_is_recorded(mail: Mail, monkeypatch: pytest.MonkeyPatch) -> None:
    context, templates = samples.context_of(mail), unused_templates()
    expected = made(templates, context, reference=True)
    for _ in range(2 + CHECKS_PER_RECORDING):
        assert made(templates, context) == expected
    assert template_of(templates, context).recordings._count == 1
    monkeypatch.setattr("nurture.rendering.tracing.cached_render.run_parts", None)
    assert made(templates, context) == expected
    other = {**context, "links": {name: f"{url}-2&x='" for name, url in context["links"].items()}}
    filled = made(templates, other)  # type: ignore[arg-type]
    # The encoding of the whole HTML is not chosen again either, unless a value of the mail decides it.
    if str(mail) not in _ENCODED_ANEW:
        monkeypatch.setattr("nurture.rendering.mime.html_body", None)
    assert render(templates, other) == filled[1]  # type: ignore[arg-type]
    monkeypatch.undo()
    assert filled == made(templates, other, reference=True)  # type: ignore[arg-type]


def test_a_recording_serves_every_mail_with_its_answers_without_a_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    templates = templates_of(
        "<mj-text>{{ 'Hi ' ~ contact.n if contact.n else 'Hello' }}</mj-text>", "{{ contact.n }}"
    )
    first = recorded(templates, {"contact": {"n": "Anna"}})
    monkeypatch.setattr("nurture.rendering.tracing.cached_render.run_parts", None)
    for name in ("Bo", "O'Hara", "王芳", "x" * 300):
        parts = render_parts(templates, some_context(templates, {"contact": {"n": name}}))
        assert parts.text == f"{name}\n"
    monkeypatch.undo()
    assert "Hello" in render_parts(templates, some_context(templates, {"contact": {"n": ""}})).html
    assert first._count == 1


def test_each_mail_is_shown_in_its_own_zone() -> None:
    templates = templates_of("<mj-text>x</mj-text>", "{{ contact.at | datetime }}")
    view = {"contact": {"at": "2026-07-06T22:30:00Z"}}
    recorded(templates, view)
    zones = ("Europe/Berlin", "Asia/Shanghai", "UTC")
    texts = [render_parts(templates, some_context(templates, view, zone=zone)).text for zone in zones]
    assert ["July 7" in text for text in texts] == [True, True, False]
    assert len(set(texts)) == 3


def test_a_missing_value_is_still_named() -> None:
    templates = templates_of("<mj-text>{{ contact.n }}</mj-text>", "{% if contact.n > 2 %}many{% endif %}")
    recorded(templates, {"contact": {"n": 3}})
    assert "contact.n has no value" in str(made(templates, some_context(templates, {"contact": {}})))
    assert "a value cannot be used" in str(made(templates, some_context(templates, {"contact": {"n": "x"}})))


def test_a_recording_keeps_the_limits() -> None:
    templates = templates_of("<mj-text>x</mj-text>", "{% for i in range(60) %}{{ contact.n }}{% endfor %}")
    assert recorded(templates, {"contact": {"n": "a"}})._count == 1
    context = some_context(templates, {"contact": {"n": "a" * 20_000}})
    assert "more than 1000000 characters" in str(made(templates, context))


@pytest.mark.parametrize(
    ("body", "harmless", "harmful"),
    [
        ('<a href="java{{ contact.n }}">a</a>', "x", "script:x"),
        ('<a href="{{ contact.n }}{{ contact.m }}">a</a>', "x", "javascript"),
        ('<a href="{{ contact.n }}:x">a</a>', "http", "javascript"),
        ('<a href="{{ contact.n }}">a</a>', "http", "javascript:x"),
    ],
)
def test_a_link_that_values_make_runnable_stops_the_mail(body: str, harmless: str, harmful: str) -> None:
    templates = templates_of(f"<mj-text>{body}</mj-text>")
    recorded(templates, {"contact": {"n": harmless, "m": ":x"}})
    assert "a link that could be run" in str(
        made(templates, some_context(templates, {"contact": {"n": harmful, "m": ":x"}}))
    )


def test_a_wrong_recording_is_found_by_its_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    # A question that is not noted makes a wrong recording.
    monkeypatch.setattr(TracedValue, "__bool__", lambda self: bool(self.value))
    templates = templates_of("<mj-text>x</mj-text>", "{{ 'yes' if contact.n else 'no' }}")
    for _ in range(2):
        made(templates, some_context(templates, {"contact": {"n": 1}}))
    context = some_context(templates, {"contact": {"n": 0}})
    assert not template_of(templates, context).recordings.is_disabled
    assert render_parts(templates, context).text == "no\n"
    assert template_of(templates, context).recordings.is_disabled
    assert render_parts(templates, context).text == "no\n"


def test_the_number_of_recordings_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "RECORDINGS_MAX", 2)
    templates = templates_of("<mj-text>x</mj-text>", "{% for l in entity.lines %}{{ l.name }}{% endfor %}")
    for count in (0, 1, 2, 3, 0, 3):
        view = {"contact": {}, "entity": {"lines": LINES[:1] * count}}
        assert recorded(templates, view)._count <= 2
        assert made(templates, some_context(templates, view)) == made(
            templates, some_context(templates, view), reference=True
        )


def test_the_second_mail_with_the_same_answers_is_recorded() -> None:
    templates = templates_of("<mj-text>x</mj-text>", "{{ 'yes' if contact.n else 'no' }}")
    counts = []
    for n in (1, 1, 0, 1, 0):
        context = some_context(templates, {"contact": {"n": n}})
        render_parts(templates, context)
        counts.append(template_of(templates, context).recordings._count)
    assert counts == [0, 1, 1, 1, 2]


def test_the_subject_is_made_of_values_too() -> None:
    templates = templates_of("<mj-text>{{ subject }}</mj-text>", "{{ subject }}", front=FRONT)
    recorded(templates, {"contact": {"first_name": "Anna"}})
    for name in ("Bo", "  Bo\nBcc: x", "<b>", "x" * 400):
        context = some_context(templates, {"contact": {"first_name": name}})
        assert made(templates, context) == made(templates, context, reference=True)
    assert MEASURE in templates.template(MEASURE, "mail", "", "en").path


PIECES = st.lists(
    st.lists(
        st.sampled_from(
            [
                "<p>",
                "\n",
                "From ",
                "Fr",
                "é",
                "<style>",
                "</style>",
                "<sty",
                "x" * 300,
                "y" * 690,
                " a ",
                "</body>",
                "中文",
            ]
        ),
        max_size=4,
    ).map("".join),
    min_size=1,
    max_size=4,
)
SLOTS = st.sampled_from(["a", "From x", "om x", "le>", "ü", "王芳", "z" * 295, "z" * 500, "w" * 990])


@settings(max_examples=examples(600), deadline=None)
@given(
    pieces=PIECES,
    slots=st.lists(SLOTS, min_size=3, max_size=3),
    picture=st.sampled_from(["", '<img src="é">']),
)
def test_html_encoded_beforehand_equals_html_encoded_per_mail(
    pieces: list[str], slots: list[str], picture: str
) -> None:
    pieces = ["<body>", *pieces, "</body></html>"]
    encoded_body, slots = encode_pieces(pieces), slots[: len(pieces) - 1] + ["b"] * (len(pieces) - 4)
    whole = "".join(text for pair in zip(pieces, [*slots, ""], strict=True) for text in pair)
    head, end, tail = whole.rpartition("</body>")
    expected = html_body(f"{head}{picture}{end}{tail}")
    body = encoded_body.fill([*slots, picture]) if encoded_body else None
    if body is not None:
        assert (body, "7bit") == expected


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_line_with_values_is_as_long_as_any(over: int) -> None:
    encoded_body = encode_pieces(["<p>é\n<b>x", "</b>\nx</body>"])
    assert encoded_body is not None
    value = "v" * (LINE_MAX - len("<b>x</b>") + over)
    body = encoded_body.fill([value, ""])
    html = f"<p>é\n<b>x{value}</b>\nx</body>"
    assert html_body(html)[1] == ("7bit" if over <= 0 else "quoted-printable")
    assert body is None if over > 0 else (body, "7bit") == html_body(html)


@pytest.mark.parametrize(
    ("pieces", "value"),
    [
        (["<body><sty", "é</style></body>"], "le>"),
        (["<body><style>é</style>", "x</body>"], "a"),
        (["<p>" + "中文" * 9, "x</body>"], "a"),
        (["<p>", "x</body>"], "中文" * 9),
        (["<p>", "x"], "a"),
    ],
)
def test_html_whose_encoding_depends_on_the_whole_is_not_encoded_beforehand(
    pieces: list[str], value: str
) -> None:
    encoded_body = encode_pieces(pieces)
    assert encoded_body is None or encoded_body.fill([value, ""]) is None
    assert pieces[-1] == "x" or html_body(value.join(pieces))[1] != "7bit"
