"""A small shop with a playbook of its own, for timelines of single parts of the language."""

import json
from collections.abc import Mapping
from typing import Any

from nurture.playbook import LoadedPlaybook, build
from tests.playbook.builder import BASE, BASE_TEXT, a_mail, a_text, with_essentials

#: The parts of playbook.yaml that every such shop has; a test adds its own.
PROGRAMME = """\
name: tea-house
brand: {name: Tea House, shop_url: https://tea.example, account_url: https://tea.example/me, address: "Quay 1, Town"}
senders: {default: {name: Tea House, address: hello@tea.example}}
locales: [en]
default_zone: Europe/Berlin
conversion: {by: order}
stages:
  lead: {aware: {when: "True", may_ask: [read, subscribe]}}
  customer:
    excite: {when: "True", may_ask: [use, read, manage]}
    ascend: {when: orders >= 2, may_ask: [buy]}
topics: {news: {double_opt_in: false}, reminders: {double_opt_in: false}, members: {double_opt_in: false}}
caps: {sales: {purposes: [sales], at_most: 1, within: 7d}}
actions:
  {read: {sells: false}, subscribe: {sells: false}, use: {sells: false}, manage: {sells: false}, buy: {sells: true}}
forms: [notice, letter, reminder, course]
"""
STRINGS = "leave: Unsubscribe\ntopic_news: News\ntopic_reminders: Reminders\ntopic_members: Club\n"


def a_shop(
    parts: str,
    measures: Mapping[str, tuple[str, Mapping[str, Any]]],
    *,
    actions: str = "",
    **bodies: str,
) -> LoadedPlaybook:
    """Return a checked playbook.

    parts: more of playbook.yaml. actions: one more kind of action, as `NAME: {...}`. measures: path -> (measure.yaml,
    sample). bodies: mail -> its text in both parts.
    Raises PlaybookError with every fault.
    """
    files = {
        "playbook.yaml": PROGRAMME.replace(
            "read: {sells: false}", f"{actions}, read: {{sells: false}}".lstrip(", ")
        )
        + parts,
        "_layout/base.mjml": BASE,
        "_layout/base.txt": BASE_TEXT,
        "_layout/strings.en.yaml": STRINGS,
    }
    for path, (text, sample) in measures.items():
        files[f"{path}/measure.yaml"] = with_essentials(path, text)
        files[f"{path}/sample.json"] = json.dumps(sample)
        for line in text.splitlines():
            if "mail:" not in line:
                continue
            mail = line.partition("mail:")[2].strip(" ,}").split(",")[0]
            if "notify:" in line:
                # A mail to owners is a text with a subject.
                files[f"{path}/{mail}.en.txt"] = bodies.get(mail, "---\nsubject: A word\n---\nHello.\n")
            else:
                files[f"{path}/{mail}.en.mjml"] = a_mail("en", body=bodies.get(mail, ""))
                files[f"{path}/{mail}.en.txt"] = a_text("en", body=bodies.get(mail, ""))
    return build(files)
