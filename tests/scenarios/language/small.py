"""The small playbook of the file tests with one measure more, for scenarios of the language."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.playbook.builder import TEXTS, a_mail, a_playbook, a_text, changed, with_essentials


def small_playbook(
    path: str,
    measure: str,
    mails: Sequence[str],
    *,
    sample: dict[str, Any] | None = None,
    programme: tuple[tuple[str, str], ...] = (),
    files: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the files of the small playbook, or `files`, with this measure.

    programme: passages of playbook.yaml to replace.
    """
    files = dict(files or a_playbook())
    for old, new in programme:
        files = changed("playbook.yaml", old, new, files)
    files[f"{path}/measure.yaml"] = with_essentials(path, measure)
    if mails:
        files[f"{path}/sample.json"] = json.dumps(sample or {})
    for mail in mails:
        for locale in TEXTS:
            files[f"{path}/{mail}.{locale}.mjml"] = a_mail(locale, body=f"{mail}, {locale}.")
            files[f"{path}/{mail}.{locale}.txt"] = a_text(locale, body=f"{mail}, {locale}.")
    return files
