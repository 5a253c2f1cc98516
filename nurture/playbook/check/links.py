"""Check every link of both parts of a mail: each asks only for what its measure may ask for."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from nurture.playbook.check.call_to_action import allowed_kinds, selling_reason
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.check.template_text import pieces

#: Link of ours -> the kinds of action that it makes, where playbook.yaml declares them.
_KINDS: Final[Mapping[str, tuple[str, ...]]] = {"survey": ("answer",), "referral": ("refer", "share")}
_OURS: Final = re.compile(rf"\blinks\.({'|'.join(_KINDS)})\b")
#: Code between its delimiters again.
_BRACKETS: Final[Mapping[str, str]] = {"output": "{{{{{}}}}}", "statement": "{{%{}%}}"}
_END_OF_WORD: Final = re.compile(r"""[\s"'<>]""")
_ADDRESS: Final = re.compile(r"\blinks\.|\w*(?:url|link|href)\b|://|[\"']/", re.IGNORECASE)
# Words in quotes inside code are labels, unless they look like a part of an address.
_PLAIN_TEXT: Final = re.compile(r"\"(?![/h])[^\"]*\"|'(?![/h])[^']*'")
_LAYOUTS: Final = re.compile(r"""\{%-?\s{0,9}(?:extends|include)\s{1,9}["']([^"']{1,200})["']""")


class Link(NamedTuple):
    """A link of a template: its source, with code, and its line."""

    line: int
    source: str


def check_links(check: MeasureCheck, layout: Mapping[str, str]) -> None:
    """Check the links of all mails of a measure, and those of the layouts around them."""
    kind, actions = check.measure.action.kind, check.programme.actions
    if kind not in actions or check.is_broken("call_to_action"):
        return
    for mail in check.people_mails:
        text = check.draft.folder.files[mail.path.rpartition("/")[2]]
        sources = [(mail.path, text), *_layouts_around(text, layout, mail.part)]
        for path, source in sources:
            for link in links_of(source):
                _check_link(check, path, link, sells=actions[kind].sells)


def _check_link(check: MeasureCheck, path: str, link: Link, *, sells: bool) -> None:
    kind = check.measure.action.kind
    reason = "" if sells else selling_reason(check, link.source)
    if reason:
        what = f"this link sells ({reason}), and `{kind}` in {check.measure.path} does not say so"
        check.faults.add(
            path, link.line, what, "link elsewhere, or give the measure a call to action that sells"
        )
    for name in _OURS.findall(link.source):
        kinds = [wanted for wanted in _KINDS[name] if wanted in check.programme.actions]
        allowed = allowed_kinds(check)
        if kinds and allowed is not None and not allowed.intersection(kinds) and kind not in kinds:
            what = f"links.{name} asks to {' or '.join(kinds)}, which {check.measure.path} may not ask"
            check.faults.add(path, link.line, what, "remove the link, or move the folder to a later stage")


@lru_cache(maxsize=2_000)
def links_of(source: str) -> tuple[Link, ...]:
    """Return every address in a template of either part: words with an address, and code that names or builds one.

    A layout is asked again by each mail in it.
    """
    return tuple(_links(source))


def _links(source: str) -> Iterator[Link]:
    word, line, start = "", 1, 1
    for piece in pieces(source):
        if piece.kind in ("output", "statement"):
            word += _BRACKETS[piece.kind].format(_PLAIN_TEXT.sub('""', piece.text))
        elif piece.kind == "text":
            *ended, rest = _END_OF_WORD.split(piece.text)
            marks = _END_OF_WORD.findall(piece.text)
            for part, mark in zip(ended, marks, strict=True):
                yield from _link_in(start, word + part)
                line += mark == "\n"
                word, start = "", line
            word += rest
        line += piece.text.count("\n") if piece.kind != "text" else 0
    yield from _link_in(start, word)


def _link_in(line: int, word: str) -> Iterator[Link]:
    code = " ".join(piece.text for piece in pieces(word) if piece.kind != "text") if "{" in word else ""
    if "://" in word or _ADDRESS.search(code):
        yield Link(line, word)


def _layouts_around(text: str, layout: Mapping[str, str], part: str) -> Iterator[tuple[str, str]]:
    """Yield (path, text) of the layouts that a mail extends or includes."""
    waiting, seen = [text], set[str]()
    while waiting:
        for name in _LAYOUTS.findall(waiting.pop()):
            file = name if name in layout else f"{name}.{part}"
            if file in layout and file not in seen:
                seen.add(file)
                waiting.append(layout[file])
                yield f"_layout/{file}", layout[file]
