"""The files of a mail: every part in every locale, a sample, an unsubscribe link, a subject that fits on a phone."""

from collections.abc import Mapping

import pytest

from nurture.playbook import find_faults, rebuild
from nurture.rendering.sample import sample_context, sample_names
from tests.playbook.builder import a_mail, a_playbook, a_text, changed

GUIDE = "lead/aware/guide"


def faults(files: Mapping[str, str], *, render: bool = False) -> list[str]:
    return [str(fault) for fault in find_faults(files, render=render)]


def without(path: str) -> dict[str, str]:
    files = a_playbook()
    del files[path]
    return files


def with_file(path: str, text: str) -> dict[str, str]:
    return {**a_playbook(), path: text}


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("more.zh-CN.txt", "measure.yaml:14: mail `more` has no text part for zh-CN: add {}"),
        ("more.en.mjml", "measure.yaml:14: mail `more` has no MJML part for en: add {}"),
        (
            "sample.json",
            'sample.json:1: no sample.json: add {{"contact": {{...}}, "event": {{...}}, "entity": {{...}}}}',
        ),
        ("measure.yaml", "measure.yaml:1: the folder has no measure.yaml: add it, or remove the folder"),
    ],
)
def test_a_missing_file_is_named(path: str, fault: str) -> None:
    assert faults(without(f"{GUIDE}/{path}")) == [f"{GUIDE}/{fault.format(f'{GUIDE}/{path}')}"]


def test_a_variant_has_both_parts_in_every_locale() -> None:
    fault = (
        "lead/convert/cart/measure.yaml:13: mail `left@b` has no text part for en: "
        "add lead/convert/cart/left@b.en.txt"
    )
    assert faults(without("lead/convert/cart/left@b.en.txt")) == [fault]


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        (f"{GUIDE}/extra.en.txt", "1: no step sends `extra`: add a step, or remove the file"),
        (
            f"{GUIDE}/guide.fr.txt",
            "1: no locale `fr`: known: en, zh-CN; see `locales` in playbook.yaml",
        ),
        (
            f"{GUIDE}/guide.mjml",
            "1: nothing reads this file: name mails <mail>.<locale>.mjml and <mail>.<locale>.txt",
        ),
        (
            "lead/note.txt",
            "1: this place means nothing: move it to lead/any/<measure>/, "
            "lead/<stage>/<measure>/ or lead/<stage>+/<measure>/",
        ),
        (
            "sales/x/measure.yaml",
            "1: this place means nothing: "
            "move it to any/<measure>/, lead/<stage>/<measure>/, customer/<stage>/<measure>/ or _layout/",
        ),
        (
            "lead/aware/My Guide/x.en.txt",
            "1: a folder's name is wrong: use small letters, digits and _; "
            "`ascend+` is the stage ascend and all later ones",
        ),
        ("_layout/strings.fr.yaml", "1: nothing reads this file: name it strings.<locale>.yaml"),
    ],
)
def test_a_file_that_nothing_reads_is_named(path: str, fault: str) -> None:
    assert faults(with_file(path, a_text("en"))) == [f"{path}:{fault}"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("<mjml></mjml>", "1: no front matter: begin with `---`, `subject:`, `preheader:`, `---`"),
        (
            a_mail("en").replace("preheader", "preheadr"),
            "3: `preheadr` is not known here: did you mean `preheader`?",
        ),
        (
            a_mail("en").replace('subject: "Good to know"', "subject: {{ contact.first_name }}"),
            '2: a mapping used as a key: put text with {{ }} into quotes: "{{ ... }}"',
        ),
    ],
    ids=["none", "misspelt", "unquoted"],
)
def test_front_matter_is_a_subject_and_a_preheader(text: str, fault: str) -> None:
    assert f"{GUIDE}/guide.en.mjml:{fault}" in faults(with_file(f"{GUIDE}/guide.en.mjml", text))


@pytest.mark.parametrize(
    ("locale", "subject", "length", "most"),
    [("en", "x" * 51, 51, 50), ("zh-CN", "长" * 21, 21, 20)],
)
def test_a_subject_fits_a_phone(locale: str, subject: str, length: int, most: int) -> None:
    path = f"{GUIDE}/guide.{locale}.mjml"
    long = with_file(path, a_mail(locale, subject=subject))
    assert faults(long) == [f"{path}:2: the subject has {length} characters: at most {most}"]
    assert faults(with_file(path, a_mail(locale, subject=subject[:most]))) == []


def test_a_subject_is_measured_as_the_sample_renders_it() -> None:
    path = f"{GUIDE}/guide.en.mjml"
    short = with_file(path, a_mail("en", subject="{{ contact.first_name }}: " + "x" * 40))
    assert faults(short, render=True) == []
    long = {**short, f"{GUIDE}/sample.json": '{"contact": {"first_name": "Maximiliane-Henriette"}}'}
    assert faults(long, render=True) == [f"{path}:2: the subject has 63 characters: at most 50"]


@pytest.mark.parametrize("part", ["mjml", "txt"])
def test_marketing_mail_needs_an_unsubscribe_link_in_both_parts(part: str) -> None:
    files = a_playbook()
    base = f"_layout/base.{part}"
    files[base] = (
        files[base]
        .replace("links.unsubscribe }}", "links.preferences }}")
        .replace('href="{{ links.unsubscribe', 'href="{{ links.preferences')
    )
    found = faults(files)
    change = "write {{ links.unsubscribe }} into it or into the layout it extends"
    assert f"{GUIDE}/guide.en.{part}:1: nurture mail without an unsubscribe link: {change}" in found
    # Transactional and service mail has nothing to unsubscribe from.
    assert not any(fault.startswith(("any/confirm", "lead/any/visit")) for fault in found)


def test_an_unsubscribe_link_in_the_mail_itself_is_enough() -> None:
    files = a_playbook()
    for locale in ("en", "zh-CN"):
        files[f"{GUIDE}/guide.{locale}.txt"] = "{{ links.call_to_action }} {{ links.unsubscribe }}"
    assert faults(files) == []


@pytest.mark.parametrize(
    ("sample", "fault"),
    [
        ("{", "1: not JSON: Expecting property name enclosed in double quotes"),
        ("[]", '1: no mapping of mappings: write {"contact": {...}, "event": {...}}'),
        (
            '{"contact": {"first_name": "A"},\n "evnt": {}}',
            "2: no key `evnt`: known: let, objects",
        ),
        (
            '{\n"contact": {"first_name": "A",\n"frist": 1}}',
            "3: no fact `frist`: known: birthday, email",
        ),
        ('{"contact": {"first_name": "A"}, "let": {"until": 1}}', "1: no let value `until`: known: (none)"),
    ],
)
def test_a_sample_holds_what_the_playbook_knows(sample: str, fault: str) -> None:
    (found,) = faults(with_file(f"{GUIDE}/sample.json", sample))
    assert found.startswith(f"{GUIDE}/sample.json:{fault}")


def test_a_locale_has_a_sample_of_its_own() -> None:
    files = {**a_playbook(), f"{GUIDE}/sample.zh-CN.json": '{"contact": {"first_name": "张伟"}}'}
    for locale in ("en", "zh-CN"):
        files[f"{GUIDE}/guide.{locale}.mjml"] = a_mail(locale, subject="{{ contact.first_name }}")
    assert faults(files) == []
    templates = rebuild(files, id_=0).templates
    subjects = {
        locale: sample_context(
            templates,
            measure=GUIDE,
            step="guide",
            mail="guide",
            variant="",
            locale=locale,
            purpose="nurture",
            topic=None,
        )["values"]["contact"]["first_name"]
        for locale in ("en", "zh-CN")
    }
    assert subjects["zh-CN"] == "张伟"
    assert subjects["en"] != "张伟"
    assert sample_names(files, GUIDE, ["en", "zh-CN"]) == []
    (fault,) = faults({**files, f"{GUIDE}/sample.zh-TW.json": "{}"})
    assert (
        fault
        == f"{GUIDE}/sample.zh-TW.json:1: no locale `zh-TW`: known: en, zh-CN; see `locales` in playbook.yaml"
    )
    (fault,) = faults({**files, f"{GUIDE}/sample.zh-CN.json": "{"})
    assert fault.startswith(f"{GUIDE}/sample.zh-CN.json:1: not JSON")


def test_every_locale_has_the_same_words() -> None:
    files = changed("_layout/strings.en.yaml", "leave: Unsubscribe", "leave: Unsubscribe\nreply: Just reply")
    fault = "_layout/strings.en.yaml:2: `reply` has no words in zh-CN: add it to _layout/strings.zh-CN.yaml"
    assert faults(files) == [fault]
    files = changed("_layout/strings.en.yaml", "leave: Unsubscribe", "leave: [Unsubscribe]")
    fault = "_layout/strings.en.yaml:1: `leave` is not text: write one text per key, in quotes where needed"
    assert faults(files) == [fault]
    files = changed("_layout/strings.en.yaml", "topic_news: News\n", "")
    fault = "_layout/strings.en.yaml:1: no words for the topic `news`: "
    assert faults(files) == [fault + "add `topic_news:`; the preference centre shows it"]
    (fault,) = faults(without("_layout/strings.zh-CN.yaml"))[:1]
    assert fault.startswith("_layout/strings.zh-CN.yaml:1: no strings for zh-CN")


def test_a_stage_of_the_other_track_is_a_fault() -> None:
    files = {
        path.replace("lead/aware/guide", "lead/excite/guide"): text for path, text in a_playbook().items()
    }
    found = faults(files)
    assert found[0] == (
        "lead/excite/guide/measure.yaml:1: excite is no stage of the lead track: "
        "move the folder under customer/excite/"
    )


def test_without_playbook_yaml_there_is_one_clear_fault() -> None:
    fault = "playbook.yaml:1: there is no playbook.yaml: add it; `nurture init` gives you a complete one"
    assert faults(without("playbook.yaml")) == [fault]


# ---- rendered from the sample --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (
            "{% if %}",
            "7: Expected an expression, got 'end of statement block': see docs/delivery.md, Templates",
        ),
        (
            "{{ contact.last_name }}",
            '7: contact.last_name has no value: write {{ contact.last_name | default("...") }}',
        ),
        ("{{ deadline | date }}", "7: no `deadline` here: known: brand, contact, entity"),
        ("{{ strings.hello }}", "7: no words `hello` in en: add it to _layout/strings.en.yaml"),
        ("<mj-foo>x</mj-foo>", "7: no component <mj-foo>: it would vanish"),
    ],
    ids=["syntax", "missing-value", "unknown-name", "unknown-words", "unknown-component"],
)
def test_a_mail_renders_from_its_sample(body: str, fault: str) -> None:
    path = f"{GUIDE}/guide.en.mjml"
    files = with_file(path, a_mail("en", body=body))
    assert any(str(fault_).startswith(f"{path}:{fault}") for fault_ in find_faults(files))


def test_a_value_the_call_to_action_needs_is_missed_at_its_line() -> None:
    path = "lead/any/visit/measure.yaml"
    files = changed(path, "{{ entity.appointment_id }}", "{{ entity.room }}")
    (fault,) = [str(fault_) for fault_ in find_faults(files)]
    assert fault.startswith(f"{path}:4: entity.room has no value")
