"""Record a template: run it once with traced values, split its HTML, compare the result with the mail that was run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nurture.rendering.clean_text import clean_body, clean_header, tidy_text
from nurture.rendering.encoded_body import encode_pieces
from nurture.rendering.html_cache import MarkedText, split_html
from nurture.rendering.mail_parts import MailParts
from nurture.rendering.marks import OPEN
from nurture.rendering.mime import html_body
from nurture.rendering.render_state import OUTPUT_MAX, RENDER_STATE, RenderState
from nurture.rendering.run_template import run_template
from nurture.rendering.sandbox import Namespace
from nurture.rendering.templates import Template, Templates, namespaces
from nurture.rendering.tracing.cache import CacheMiss, Pieces, Recording
from nurture.rendering.tracing.values import Trace, Untraceable

#: Name, among a mail's values, of the links as the text part shows them.
LINKS_OF_TEXT: Final = "links of text"


@dataclass(frozen=True, slots=True)
class TraceRequest:
    """One mail that has been run, and what is needed to run it again with traced values."""

    templates: Templates
    template: Template
    # The values that the template may read, the mail's links among them.
    values: dict[str, Any]
    state: RenderState
    # The result of the run, without the open picture.
    parts: MailParts

    def run(self, template: Any, names: Mapping[str, Any]) -> str:
        """Run one of the template's parts with these names."""
        return run_template(template, names, locale=self.state.locale, zone=self.state.zone)


@dataclass(frozen=True, slots=True)
class _TracedRun:
    """The output of a run with traced values: text with numbered marks."""

    subject: Pieces
    preheader: Pieces
    # Text part and MJML, as printed.
    text: str
    mjml: str


def record_template(request: TraceRequest, miss: CacheMiss) -> None:
    """Add a recording of this run to the template's, or exclude the miss when the run cannot be recorded.

    miss: where the mail's values left the known recordings.
    """
    recordings, trace = request.template.recordings, Trace()
    try:
        recording = _make_recording(request, trace)
    except Exception:  # noqa: BLE001 - the mail is made already; whatever cannot be traced runs from now on
        recordings.exclude(miss)
        return
    if recording is not None:
        recordings.add(frozenset(request.values), trace.observations, recording)


def _make_recording(request: TraceRequest, trace: Trace) -> Recording | None:
    """Return the recording; None when this mail's values cannot prove it, though another mail's may.

    Raises Untraceable, or whatever the traced run raises, when no mail can.
    """
    run = _run_traced(request, trace)
    marked = MarkedText.parse(run.mjml)
    if marked is None:
        raise Untraceable("marks that do not pair")
    token = RENDER_STATE.set(request.state)
    try:
        values = dict(request.values)
        recording = _prove_recording(request, trace, run, marked, values)
        filled = None if recording is None else recording.fill(values)
    finally:
        RENDER_STATE.reset(token)
    if filled is None:
        return None
    body = filled.body("")
    if filled.parts() != request.parts or (
        body is not None and (body, "7bit") != html_body(request.parts.html)
    ):
        raise Untraceable("the filled recording differs from the run")
    return recording


def _run_traced(request: TraceRequest, trace: Trace) -> _TracedRun:
    """Run all parts with traced values; `trace` collects what the run observes and prints."""
    traced = request.templates.traced(request.template)
    names: dict[str, Any] = {
        "offers": request.templates.offers,
        **{name: trace.root(name, value) for name, value in namespaces(request.values).items()},
        "brand": request.templates.brand,
        "strings": request.templates.strings(request.state.locale),
        "locale": request.state.locale,
    }
    links = trace.root(LINKS_OF_TEXT, Namespace("links", request.values[LINKS_OF_TEXT]))
    subject, preheader = (Pieces.parse(request.run(traced[name], names)) for name in ("subject", "preheader"))
    names |= {
        "subject": _line_value(trace, "subject", subject, request.parts.subject),
        "preheader": _line_value(trace, "preheader", preheader, request.parts.preheader),
    }
    text = request.run(traced["text"], names | {"links": links})
    mjml = request.run(traced["markup"], names).lstrip()
    return _TracedRun(subject, preheader, text, mjml)


def _prove_recording(
    request: TraceRequest, trace: Trace, run: _TracedRun, marked: MarkedText, values: dict[str, Any]
) -> Recording | None:
    """Return the recording when its HTML can be split at the slots; None when a value is not plain text."""
    numbers, text = tuple(map(int, marked.slots)), Pieces.parse(tidy_text(clean_body(run.text)))
    slots = [read(values) for read in trace.printed]
    filled = MarkedText(marked.statics, tuple(slots[number] for number in numbers))
    if not filled.is_plain():
        return None
    split = split_html(filled, request.parts.html)
    if split is None:
        raise Untraceable("HTML that depends on the printed values")
    html = Pieces(split.pieces, tuple(numbers[place] for place in split.order))
    return Recording(
        slots=tuple(trace.printed),
        subject=run.subject,
        preheader=run.preheader,
        text=text,
        html=html,
        plain_slots=tuple(sorted({*numbers, *text.order})),
        common_slots=tuple(sorted({numbers[place] for place in split.common_slots})),
        room=OUTPUT_MAX - max(len(run.text), len(run.mjml), sum(map(len, html.texts))),
        places=max(len(numbers), len(html.order), run.text.count(OPEN)),
        encoded_body=encode_pieces(html.texts),
    )


def _line_value(trace: Trace, name: str, line: Pieces, text: str) -> Any:
    """Return the subject or preheader for the other parts: plain text, or a traced value when it holds slots."""
    if not line.order:
        return text
    key, printed = f"{name} as printed", trace.printed

    def read(values: dict[str, Any]) -> str:
        # Computed once per mail and kept among its values.
        known: str | None = values.get(key)
        if known is None:
            slots: dict[int, str] = {number: printed[number](values) for number in line.order}
            known = values[key] = clean_header(line.fill(slots))
        return known

    return trace.root(key, text, read)
