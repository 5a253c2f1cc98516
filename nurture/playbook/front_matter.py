"""The front matter of an MJML file: the lines between `---` with subject and preheader, both templates."""

from dataclasses import dataclass

from nurture.playbook.document import Document, read_document
from nurture.playbook.fault import Faults
from nurture.playbook.schema.front_matter import FrontMatter
from nurture.playbook.schema.validate import read_model

_STANDINS = {"subject": "?", "preheader": "?"}


@dataclass(frozen=True, slots=True)
class MarkupFile:
    """One MJML file: its front matter, and the MJML below."""

    front_matter: FrontMatter
    document: Document
    body: str
    # Lines of the file above the body.
    lines_above_body: int


def read_markup_file(path: str, text: str, faults: Faults) -> MarkupFile | None:
    """Return an MJML file split; None, and a fault, when its front matter is missing or cannot be read."""
    lines = text.split("\n")
    ends = [place for place, line in enumerate(lines) if line.rstrip() == "---"]
    if not lines[0].startswith("---") or len(ends) < 2 or ends[0] != 0:
        faults.add(path, 1, "no front matter", "begin with `---`, `subject:`, `preheader:`, `---`")
        faults.mark_broken(path, ())
        return None
    end = ends[1]
    document = read_document(path, "\n".join(lines[1:end]), faults, lines_above=1)
    front_matter = read_model(FrontMatter, document, faults, _STANDINS) if document else None
    if document is None or front_matter is None:
        faults.mark_broken(path, ())
        return None
    return MarkupFile(front_matter, document, "\n".join(lines[end + 1 :]), end + 1)
