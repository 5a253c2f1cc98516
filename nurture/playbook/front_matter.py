"""The lines between `---` at the top of a mail: its subject and preheader, both templates."""

from dataclasses import dataclass

from nurture.playbook.document import Document, read_document
from nurture.playbook.fault import Faults
from nurture.playbook.schema.measure import FrontMatter
from nurture.playbook.schema.validate import read_model

_STANDINS = {"subject": "?", "preheader": "?"}


@dataclass(frozen=True, slots=True)
class MailHead:
    """Front matter read, and what follows it."""

    words: FrontMatter
    document: Document
    body: str
    # Lines of the file above the body.
    body_skipped: int


def read_head(path: str, text: str, faults: Faults) -> MailHead | None:
    """Read a mail's front matter; None, and a fault, when there is none or it cannot be read."""
    lines = text.split("\n")
    ends = [place for place, line in enumerate(lines) if line.rstrip() == "---"]
    if not lines[0].startswith("---") or len(ends) < 2 or ends[0] != 0:
        faults.add(path, 1, "no front matter", "begin with `---`, `subject:`, `preheader:`, `---`")
        faults.break_off(path, ())
        return None
    end = ends[1]
    document = read_document(path, "\n".join(lines[1:end]), faults, skipped=1)
    words = read_model(FrontMatter, document, faults, _STANDINS) if document else None
    if document is None or words is None:
        faults.break_off(path, ())
        return None
    return MailHead(words, document, "\n".join(lines[end + 1 :]), end + 1)
