"""The check of unpublished templates reports every fault; no template can block it or use up its memory."""

import json
from base64 import b64encode

import jinja2
import pytest

from nurture.rendering.checking import template_check
from nurture.rendering.checking.mjml_lint import find_bad_markup
from nurture.rendering.checking.template_check import CheckResult, MailToCheck, check_templates
from nurture.rendering.sandbox import Sandbox
from nurture.rendering.template_analysis import free_names, reads_only
from tests.rendering.mails import FILES, FRONT, LINES, MEASURE, some_shared_values

MAIL = MailToCheck(MEASURE, "mail", "mail", "", "en", "sales", "offers")
CHINESE = MAIL._replace(locale="zh-CN")
SAMPLE = json.dumps({"contact": {"first_name": "Anna"}, "entity": {"lines": LINES}, "let": {"code": "A-1"}})
HEAD = '{% extends "base" %}{% block content %}'


def check(
    files: dict[str, str] | None = None, mails: tuple[MailToCheck, ...] = (MAIL,), **limits: float
) -> CheckResult:
    given = {**FILES, f"{MEASURE}/sample.json": SAMPLE, **(files or {})}
    return check_templates(given, some_shared_values(), mails, **limits)  # type: ignore[arg-type]


def body(text: str) -> dict[str, str]:
    return {f"{MEASURE}/mail.en.mjml": FRONT + HEAD + text + "{% endblock %}"}


def test_a_good_playbook_has_no_problem_and_shows_its_subjects() -> None:
    checked = check(mails=(MAIL, CHINESE))
    assert checked.problems == []
    assert checked.subjects == {
        f"{MEASURE}/mail.en.mjml": "Thanks, Anna",
        f"{MEASURE}/mail.zh-CN.mjml": "谢谢, Anna",
    }
    assert checked.texts[f"{MEASURE}/mail.en.mjml"].startswith("Hello Anna")


def test_every_problem_of_every_mail_is_reported_at_once() -> None:
    files = {
        f"{MEASURE}/mail.en.mjml": FRONT
        + HEAD
        + "\n<mj-txt>{{ deadlin }}</mj-txt>\n{{ strings.no }}{% endblock %}",
        f"{MEASURE}/mail.zh-CN.txt": "\n{{ contact.plan }}",
        "_layout/base.mjml": FILES["_layout/base.mjml"].replace(
            "<mj-section>", '<mj-section colour="red">', 1
        ),
    }
    assert [str(problem) for problem in check(files, (MAIL, CHINESE)).problems] == [
        f"{MEASURE}/mail.en.mjml:6: no `deadlin` here: known: brand, code, contact, deadline, entity, entity_key, "
        "event, generation, links, locale, offers, owner, preheader, run_id, strings, subject",
        f"{MEASURE}/mail.en.mjml:7: no words `no` in en: add it to _layout/strings.en.yaml",
        f"{MEASURE}/mail.en.mjml:6: no component <mj-txt>: it would vanish; see MJML's list",
        "_layout/base.mjml:3: <mj-section> with unknown attribute `colour`: it would vanish; see MJML's list",
        f'{MEASURE}/mail.en.mjml:6: deadlin has no value: write {{{{ deadlin | default("...") }}}}, or send it only '
        "to people who have it",
        f'{MEASURE}/mail.zh-CN.txt:2: contact.plan has no value: write {{{{ contact.plan | default("...") }}}}, or '
        "send it only to people who have it",
    ]


def test_a_problem_of_a_layout_is_reported_once() -> None:
    files = {"_layout/base.txt": FILES["_layout/base.txt"] + "{{ nobody }}"}
    problems = check(files, (MAIL, CHINESE)).problems
    assert [(problem.path, problem.line) for problem in problems if "here" in problem.what] == [
        ("_layout/base.txt", 4)
    ]


@pytest.mark.parametrize(
    "text",
    [
        # The sandbox cannot stop these; the limits of the child process do.
        "{% set a = 'x' * 9 if false else 'xxxxxxxxxx' %}"
        + "{% set a = a ~ a ~ a ~ a %}" * 20
        + "{{ a | length }}",
        "{{ "
        + "(" * 60
        + "'a'"
        + " ~ 'b')" * 60
        + " | length }}"
        + "{% set a = range(1000) | list %}" * 1
        + "{% for x in a %}{% set y = a | sort | sort | sort | map('string') | join('x') | list | sort %}{% endfor %}"
        * 40,
    ],
    ids=["memory", "time"],
)
def test_a_template_that_exceeds_memory_or_time_is_named_and_the_others_are_checked(text: str) -> None:
    checked = check(body(text), (MAIL, CHINESE), cpu_seconds=1, memory_bytes=400_000_000, clock_seconds=60)
    [problem] = checked.problems
    assert problem.path == f"{MEASURE}/mail.en.mjml"
    assert list(checked.subjects) == [f"{MEASURE}/mail.zh-CN.mjml"]


def test_a_child_that_writes_nothing_is_stopped_after_the_timeout() -> None:
    checked = check(mails=(MAIL,), clock_seconds=0.001)
    assert [problem.what for problem in checked.problems] == ["it takes more than 3 s or 1000 MB"]


def test_a_measure_without_a_sample_renders_without_values() -> None:
    checked = check({f"{MEASURE}/sample.json": "{}"})
    assert [problem.what for problem in checked.problems] == ["entity.lines has no value"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("<mj-text>a</mj-text>", []),
        ("<mjml><mj-body><mj-section/></mj-body></mjml>", []),
        ('<mj-text font-size="{{ "1px" if x else "2px" }}">a</mj-text>', []),
        ('<mj-text {% if x %}color="red"{% endif %} line-height="1">a</mj-text>', []),
        ("\n\n<mj-texte>a</mj-texte>", [(3, "no component <mj-texte>")]),
        ('<mj-image alt="" src="a" widht="1" />', [(1, "<mj-image> with unknown attribute `widht`")]),
        ('\n<mj-include path="x.mjml" />', [(2, "<mj-include> is not followed")]),
        ("<!-- <mj-old> -->{# <mj-older> #}", []),
    ],
)
def test_markup_that_mrml_would_drop_is_reported(source: str, found: list[tuple[int, str]]) -> None:
    assert [(problem.line, problem.what) for problem in find_bad_markup("x.mjml", source)][
        : len(found) or None
    ] == found


def test_several_children_give_the_same_problems_once(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        f"{MEASURE}/mail.en.mjml": FRONT + HEAD + "{{ deadlin | default('') }}{% endblock %}",
        f"{MEASURE}/mail.zh-CN.txt": "\n{{ contact.plan }}",
        "_layout/base.mjml": FILES["_layout/base.mjml"].replace(
            "<mj-section>", '<mj-section colour="red">', 1
        ),
    }
    mails = (MAIL, CHINESE, MAIL._replace(step="second"))
    alone = check(files, mails)
    monkeypatch.setattr(template_check, "_SHARE_MIN", 1)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    shared = check(files, mails)
    assert len(template_check._shares(mails)) == 2
    assert sorted(map(str, shared.problems)) == sorted(map(str, alone.problems))
    assert (shared.subjects, shared.texts) == (alone.subjects, alone.texts)


KNOWN = frozenset({"contact", "event", "links"})


@pytest.mark.parametrize(
    ("source", "is_settled", "unknown"),
    [
        ("{{ contact.name }} {{ links.x | default('') }}", True, set()),
        ("{{ contac.name }}", False, {"contac"}),
        ("{% for item in event.items %}{{ item }}{% endfor %}", False, set()),
        ("{% for item in event.items %}{% endfor %}{{ item }}", False, {"item"}),
        ("{% set total = 1 %}{{ total }}{{ event.x if totl else '' }}", False, {"totl"}),
        ("{% macro line(price) %}{{ price }}{% endmacro %}{{ line(event.price) }}", False, set()),
    ],
)
def test_names_that_are_known_at_once_need_no_search(
    source: str, *, is_settled: bool, unknown: set[str]
) -> None:
    env = Sandbox(jinja2.DictLoader({}), markup=False)
    tree = env.parse(source)
    free = {name for name, _ in free_names(tree)} - KNOWN
    assert (reads_only(tree, KNOWN, env), free) == (is_settled, unknown)
    # Compiling from the kept tree, twice, gives the same code as from a new one.
    codes = [str(env.compile(source, raw=True)) for _ in range(2)]
    assert codes == [str(Sandbox(jinja2.DictLoader({}), markup=False).compile(source, raw=True))] * 2


def test_an_unknown_filter_is_not_settled_at_once() -> None:
    env = Sandbox(jinja2.DictLoader({}), markup=False)
    assert not reads_only(env.parse("{{ contact | nofilter }}"), KNOWN, env)
    assert not reads_only(env.parse("{{ contact is notest }}"), KNOWN, env)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ('\n<mj-image src="https://x.test/a.png" />', 2),
        ('<mj-image\n src="{{ links.image_a }}" width="20px"/>', 1),
        ('<mj-text>\n\n<img src="{{ a }}"\n width="1"></mj-text>', 3),
        ('<mj-image src="a" alt="A kettle" /><mj-image src="a" alt="" />', 0),
        ("<mj-text><IMG ALT='' src=\"a\"/></mj-text>", 0),
        ('{# <img src="a"> #}', 0),
        # A default of all pictures is none itself.
        ('<mj-attributes><mj-image padding="0" /></mj-attributes>', 0),
    ],
)
def test_a_picture_needs_an_alternative_text(source: str, line: int) -> None:
    found = list(find_bad_markup("x.mjml", source))
    assert [(problem.line, problem.what) for problem in found] == (
        [(line, "a picture without an alternative text")] if line else []
    )


@pytest.mark.parametrize(
    ("source", "font"),
    [
        ('<mj-all font-family="Helvetica, Roboto, sans-serif" />', "Roboto"),
        ("<mj-style>a { font-family: 'Open Sans', Arial; }</mj-style>", "Open Sans"),
        ('<mj-text><p style="font-family:lato">a</p></mj-text>', "lato"),
        ('<mj-text font-family="Georgia, serif">We roast in Lato and Ubuntu.</mj-text>', ""),
        ("<mj-all font-family=\"'Noto Sans SC', Arial\" />", ""),
    ],
)
def test_a_font_that_is_loaded_from_elsewhere_is_refused(source: str, font: str) -> None:
    found = [problem.what for problem in find_bad_markup("x.mjml", source)]
    assert found == ([f"the font {font} makes the mail load it from fonts.googleapis.com"] if font else [])


def test_pictures_of_a_mail_are_light_together() -> None:
    png = b"\x89PNG\r\n\x1a\n"
    shown = FILES[f"{MEASURE}/mail.en.mjml"].replace(
        "<mj-button",
        '<mj-image alt="" src="{{ links.image_small }}" /><mj-image alt="" src="{{ links.image_large }}" /><mj-button',
    )

    def problems(size: int) -> list[str]:
        images = {
            "small": png + bytes(20_000),
            "large": png + b"1" + bytes(size),
            "unused": png + b"2" + bytes(90_000),
        }
        pictures = {
            f"_layout/images/{name}.png.b64": b64encode(data).decode() for name, data in images.items()
        }
        return [str(problem) for problem in check({**pictures, f"{MEASURE}/mail.en.mjml": shown}).problems]

    assert problems(39_000) == []
    assert problems(41_000) == [
        f"{MEASURE}/mail.en.mjml:1: its pictures have 62 kB together: "
        "at most 60 kB; the largest is large: save it with fewer colours"
    ]
