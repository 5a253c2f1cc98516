"""Mails to people of the house are checked like mails to people: whom they reach, their text, what follows."""

from collections.abc import Mapping

import pytest

from nurture.playbook import find_faults
from tests.playbook.builder import changed

MEASURE, FOLDER = "any/confirm/measure.yaml", "any/confirm"
TEXT = "---\nsubject: \"One more for {{ owner.name }}\"\n---\n{{ contact.first_name | default('?') }}, {{ run_id }}\n"
OWNERS = """\
default_zone: Europe/Berlin
owners: {mira: {name: Mira, address: mira@shop.example}, support: {name: Tom, address: tom@shop.example}}
"""


def faults(steps: str, texts: Mapping[str, str], *, render: bool = False) -> list[str]:
    """Return the faults in the measure's folder, with these steps behind the mails; texts: file -> text."""
    files = changed("playbook.yaml", "default_zone: Europe/Berlin\n", OWNERS)
    files = changed(MEASURE, "  - mail: confirm\n", "  - mail: confirm\n" + steps, files)
    for name, text in texts.items():
        files[f"{FOLDER}/{name}.txt"] = text
    return [str(fault).removeprefix(f"{FOLDER}/") for fault in find_faults(files, render=render)]


def test_a_sound_mail_to_an_owner_has_no_faults() -> None:
    assert faults("  - notify: {to: mira, mail: brief, due: 2d}\n", {"brief.en": TEXT}, render=True) == []


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        (
            "  - notify: {to: suport, mail: brief}\n",
            "measure.yaml:11: no owner `suport`: known: mira, support",
        ),
        (
            "  - notify: {to: [mira, contact.first_name, mira], mail: brief}\n",
            "measure.yaml:11: owner `mira` is told twice: name each one once",
        ),
        (
            "  - notify: {to: contact.views, mail: brief}\n",
            "measure.yaml:11: `views` never holds an owner's name: use a trait or the latest value of a property, "
            "type text",
        ),
        (
            "  - notify: {to: mira, mail: brief, due: {business: 1d}}\n",
            "measure.yaml:11: owner `mira` has no calendar: add `calendar:` to it in playbook.yaml",
        ),
        (
            "  - notify: {to: mira, mail: brief, due: 1d}\nholdout: 10%\n",
            "measure.yaml:12: holdout on a measure that opens a case (`notify1`): leave it out: people who need help "
            "are not held back",
        ),
        (
            "  - wait: {for: Support Case Opened, at_most: 2d}\n  - notify: {to: mira, mail: brief, due: 1d}\n",
            "measure.yaml:12: emit circle: any/confirm -> any/confirm: let one of them start, or go on, "
            "by another event",
        ),
        (
            "  - notify: {to: [], mail: brief}\n",
            "measure.yaml:11: `to` has too few entries: give at least 1",
        ),
    ],
)
def test_owners_and_due_times_are_checked(steps: str, wanted: str) -> None:
    assert wanted in faults(steps, {"brief.en": TEXT})


@pytest.mark.parametrize(
    ("mail", "texts", "wanted"),
    [
        (
            "brief",
            {},
            "measure.yaml:11: mail `brief` to owners has no text: add any/confirm/brief.en.txt, with its "
            "`subject:` between --- lines",
        ),
        (
            "confirm",
            {},
            "measure.yaml:11: `confirm` is a mail to the person too: give the owners a mail of its own name",
        ),
        (
            "brief",
            {"brief.en": TEXT, "brief.zh-CN": TEXT},
            "brief.zh-CN.txt:1: nothing reads this file: owners are mailed plain text in the default locale: keep "
            "brief.en.txt alone",
        ),
        (
            "brief",
            {"brief.en": TEXT + "{{ contact.email }}"},
            "brief.en.txt:1: `contact.email` in a mail to owners, which shows declared facts alone: leave it out: the "
            "mail leads to the page of the person",
        ),
    ],
)
def test_the_text_is_there_and_shows_declared_facts(mail: str, texts: dict[str, str], wanted: str) -> None:
    assert faults(f"  - notify: {{to: mira, mail: {mail}}}\n", texts) == [wanted]


def test_the_text_is_rendered_with_the_sample() -> None:
    steps = "".join(f"  - notify: {{to: mira, mail: m{number}}}\n" for number in (1, 2, 3))
    texts = {
        "m1.en": "Hello",
        "m2.en": TEXT + "{{ links.unsubscribe }}",
        "m3.en": '---\nsubject: More\n---\n{{ event.shop }} {% include "base" %}',
    }
    found = faults(steps, texts, render=True)
    assert found == [
        "m1.en.txt:1: no front matter: begin with `---`, `subject:`, `---`",
        "m2.en.txt:5: no `links` here: known: brand, contact, entity, entity_key, event, generation, "
        "locale, owner, run_id, strings",
        "m3.en.txt:1: it uses the layout `base`: write plain text: it goes to owners",
    ]
