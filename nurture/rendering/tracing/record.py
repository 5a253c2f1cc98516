"""Learning a way: one run of a template with watched values, its HTML proven, the whole compared with the mail."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nurture.rendering.encoded_body import prepare
from nurture.rendering.html_cache import Marked, prove
from nurture.rendering.mime import html_body
from nurture.rendering.plain import body_text, header_text, tidy
from nurture.rendering.render_context import OUTPUT_MAX, RENDERING, Rendering
from nurture.rendering.run import run
from nurture.rendering.sandbox import Names
from nurture.rendering.templates import Template, Templates, names_for
from nurture.rendering.tracing.cache import Gap, Parts, Pieces, Way
from nurture.rendering.tracing.values import OPEN, Trace, Untraceable

#: Among the values: the links as the text part shows them.
LINKS_OF_TEXT: Final = "links of text"


@dataclass(frozen=True, slots=True)
class Lesson:
    """One mail that has been run."""

    templates: Templates
    template: Template
    # What it may read, its links among them.
    values: dict[str, Any]
    rendering: Rendering
    # Without the open picture.
    made: Parts

    def run(self, template: Any, names: Mapping[str, Any]) -> str:
        """Run a part."""
        return run(template, names, locale=self.rendering.locale, zone=self.rendering.zone)


def learn(lesson: Lesson, gap: Gap) -> None:
    """Learn the way of a mail that has been run, if it can be followed and proven; gap: where it went off."""
    trace = Trace()
    try:
        way = _way(lesson, trace)
    except Exception:  # noqa: BLE001 - whatever cannot be followed is run; this mail is made already
        lesson.template.ways.refuse(gap)
        return
    if way is not None:
        lesson.template.ways.add(frozenset(lesson.values), trace.seen, way)


def _way(lesson: Lesson, trace: Trace) -> Way | None:
    """Return the way, None when this mail cannot prove it. Raises when no mail can."""
    made, watched = lesson.made, lesson.templates.watched(lesson.template)
    names: dict[str, Any] = {
        **{name: trace.root(name, value) for name, value in names_for(lesson.values).items()},
        "brand": lesson.templates.brand,
        "strings": lesson.templates.strings(lesson.rendering.locale),
        "locale": lesson.rendering.locale,
    }
    readable = trace.root(LINKS_OF_TEXT, Names("links", lesson.values[LINKS_OF_TEXT]))
    subject, preheader = (Pieces.of(lesson.run(watched[name], names)) for name in ("subject", "preheader"))
    names |= {
        "subject": _said(trace, "subject", subject, made.subject),
        "preheader": _said(trace, "preheader", preheader, made.preheader),
    }
    raw_text = lesson.run(watched["text"], names | {"links": readable})
    raw = lesson.run(watched["markup"], names).lstrip()
    marked = Marked.read(raw)
    if marked is None:
        raise Untraceable("marks that do not pair")
    numbers, text = tuple(map(int, marked.slots)), Pieces.of(tidy(body_text(raw_text)))
    token = RENDERING.set(lesson.rendering)
    try:
        values = dict(lesson.values)
        slots = [read(values) for read in trace.printed]
        filled = Marked(marked.statics, tuple(slots[number] for number in numbers))
        if not filled.is_plain():
            return None
        proven = prove(filled, made.html)
        if proven is None:
            raise Untraceable("HTML that depends on what is printed")
        html = Pieces(proven.pieces, tuple(numbers[place] for place in proven.order))
        way = Way(
            slots=tuple(trace.printed),
            subject=subject,
            preheader=preheader,
            text=text,
            html=html,
            plain=tuple(sorted({*numbers, *text.order})),
            common=tuple(sorted({numbers[place] for place in proven.strict})),
            room=OUTPUT_MAX - max(len(raw_text), len(raw), sum(map(len, html.texts))),
            places=max(len(numbers), len(html.order), raw_text.count(OPEN)),
            prepared=prepare(html.texts),
        )
        again = way.fill(values)
    finally:
        RENDERING.reset(token)
    if again is None:
        return None
    body = again.body("")
    if again.parts() != made or (body is not None and (body, "7bit") != html_body(made.html)):
        raise Untraceable("what is filled in is not what was run")
    return way


def _said(trace: Trace, name: str, line: Pieces, said: str) -> Any:
    """Return subject or preheader as the other parts may print it: text, or watched when it is made of values."""
    if not line.order:
        return said
    key, printed = f"{name} as said", trace.printed

    def read(values: dict[str, Any]) -> str:
        # Worked out once a mail.
        found: str | None = values.get(key)
        if found is None:
            slots: dict[int, str] = {number: printed[number](values) for number in line.order}
            found = values[key] = header_text(line.filled(slots))
        return found

    return trace.root(key, said, read)
