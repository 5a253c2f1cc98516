"""The whole programme as sketches: every measure without its mails, which are made up here so that the check passes."""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from nurture.playbook import load_files
from nurture.playbook.document import read_document
from nurture.playbook.fault import Faults

SKETCHES = Path(__file__).with_name("programme")
_READ = re.compile(r"\b(entity|event)\.(\w+)")
_OBJECT = {"title": "A sketch", "url": "https://shop.example/1", "stock": 9, "price": "9.50"}
_MARKUP = """\
---
subject: A sketch
preheader: Of a mail
---
<mjml><mj-body><mj-section><mj-column><mj-text>{}</mj-text></mj-column></mj-section></mj-body></mjml>
"""


@lru_cache(maxsize=1)
def sketched() -> dict[str, str]:
    """Return the files of the sketches, each mail being one line that prints the measure's lists."""
    files = dict(load_files(SKETCHES))
    topics = _read("playbook.yaml", files)["topics"]
    files["_layout/strings.en.yaml"] = "".join(f"topic_{topic}: {topic}\n" for topic in topics)
    for path in [path for path in files if path.endswith("/measure.yaml")]:
        _add_mails(files, path)
    return files


def _read(path: str, files: dict[str, str]) -> dict[str, Any]:
    document = read_document(path, files[path], Faults())
    assert document is not None, path
    return dict(document.data)


def _add_mails(files: dict[str, str], path: str) -> None:
    measure, place = _read(path, files), path.removesuffix("/measure.yaml")
    objects: dict[str, Any] = measure.get("objects", {})
    lists = [name for name, item in objects.items() if "key" not in item]
    body = "".join(f"{{% for item in {name} %}}{{{{ item.title }}}}{{% endfor %}}" for name in lists)
    body += (
        "{{ links.call_to_action }} {% if links.unsubscribe is defined %}{{ links.unsubscribe }}{% endif %}"
    )
    files[f"{place}/sample.json"] = json.dumps(_sample(files[path], measure, lists))
    for step in _steps(measure["steps"]):
        if "notify" in step:
            files[f"{place}/{step['notify']['mail']}.en.txt"] = "---\nsubject: A sketch\n---\nTo the house.\n"
    for mail in (step["mail"] for step in _steps(measure["steps"]) if "mail" in step):
        files[f"{place}/{mail}.en.mjml"] = _MARKUP.format(body)
        files[f"{place}/{mail}.en.txt"] = body + "\n"


def _sample(text: str, measure: dict[str, Any], lists: list[str]) -> dict[str, Any]:
    """Return a sample with all that the measure's links and calendars read."""
    sample: dict[str, Any] = {}
    for root, field in _READ.findall(json.dumps([measure.get("call_to_action"), measure["steps"]])):
        value = "2027-03-01T09:00:00Z" if field.endswith("_at") else "https://shop.example/1"
        sample.setdefault(root, {})[field] = value
    objects = measure.get("objects", {})
    sample["objects"] = {name: [_OBJECT] if name in lists else _OBJECT for name in objects}
    lets = measure.get("let", {})
    sample["let"] = {
        name: "CODE-1" if "coupon" in rule else "2027-03-31T22:00:00Z" for name, rule in lets.items()
    }
    return sample


def _steps(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield each step of a list, and those of its branches."""
    for step in steps:
        yield step
        for case in step.get("branch", []):
            yield from _steps(case.get("steps", case.get("else", [])))
