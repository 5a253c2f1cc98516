"""Rewrite the old forms of a playbook's files, one after the other."""

from collections.abc import Mapping
from dataclasses import dataclass

from nurture.domain.errors import PlaybookError
from nurture.playbook.document import read_document
from nurture.playbook.fault import Fault, Faults
from nurture.playbook.folder import PROGRAMME
from nurture.playbook.upgrade.old_forms import OldForm, find_old_forms


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The files with the new forms, and what was done."""

    files: Mapping[str, str]
    # The old forms that were rewritten, at their places in the file before.
    rewritten: tuple[Fault, ...]
    # The old forms that a person has to write anew, at their places in the file after.
    left: tuple[Fault, ...]


def upgrade(files: Mapping[str, str]) -> Upgrade:
    """Return a playbook's files with today's forms. Raises PlaybookError when `playbook.yaml` cannot be read."""
    text = files.get(PROGRAMME, "")
    done: list[Fault] = []
    while True:
        forms = _forms(text)
        form = next((form for form in forms if form.rewrite is not None), None)
        if form is None or form.rewrite is None:
            break
        done.append(_fault(form, files[PROGRAMME]))
        text = form.rewrite(text)
    left = tuple(_fault(form, text) for form in forms)
    new = {**files, PROGRAMME: text} if text else dict(files)
    return Upgrade(new, tuple(sorted(done, key=lambda fault: fault.line)), left)


def _forms(text: str) -> list[OldForm]:
    faults = Faults()
    document = read_document(PROGRAMME, text, faults)
    if document is None or faults:
        raise PlaybookError([str(fault) for fault in faults.sorted()])
    return find_old_forms(document.data)


def _fault(form: OldForm, text: str) -> Fault:
    document = read_document(PROGRAMME, text, Faults())
    line = 1 if document is None else document.line(form.loc)
    return Fault(PROGRAMME, line, form.what, form.change, is_warning=True)
