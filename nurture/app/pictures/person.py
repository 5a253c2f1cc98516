"""The timeline of a person as a picture, and as a page that stands alone."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, Final

from nurture.app.services import Services
from nurture.contacts.queries import resolve_contact
from nurture.domain.errors import NotFoundError
from nurture.domain.instant import DAY, Instant, to_iso
from nurture.pictures import Picture, SpanRow, Table, draw_timeline, page_part, stylesheet
from nurture.reports.console import ContactPage, TimelineEntry, load_contact_page

#: Entries of a page, the newest.
_ENTRIES_MAX: Final = 500
#: The kinds of a timeline that are drawn; mails and runs have lanes of their own.
_MARKED: Final = ("event", "milestone", "stage", "track")
_CSS: Final = (
    ":root { color-scheme: light dark; --paper: #f7f6f3; --ink: #1d2320; --line: #d5dad6 }\n"
    "@media (prefers-color-scheme: dark) { :root { --paper: #0f1312; --ink: #e8ece9; --line: #3a4440 } }\n"
    "body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif }\n"
    "main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem }\n"
    ".sheet { overflow-x: auto } figure { margin: 1rem 0 } svg { max-width: 100%; height: auto }\n"
    "table { border-collapse: collapse; font-size: .92rem }\n"
    "th, td { padding: .3rem .9rem .3rem 0; text-align: left; vertical-align: top;"
    " border-bottom: 1px solid var(--line) }\n"
)


def draw_person(story: ContactPage, now: Instant) -> Picture:
    """Return a person's runs, mails and events over time, a lane for each measure and one for events."""
    rows = [*_runs(story, now), *_marks(story.timeline)]
    first = min((entry.at for entry in story.timeline), default=now)
    words = {"title": "Timeline", "span": "run", "when": "when (UTC)"}
    return draw_timeline(rows, words, id_="timeline", ends=(to_iso(first)[:10], to_iso(now)[:10]))


def _runs(story: ContactPage, now: Instant) -> Iterator[SpanRow]:
    for run, measure in sorted(story.runs, key=lambda pair: int(pair[0].started_at)):
        end = run.ended_at if run.ended_at is not None else now
        when = f"{to_iso(run.started_at)[:16]} – {to_iso(end)[:16]}".replace("T", " ")
        yield SpanRow(measure.rpartition("/")[2], run.key, run.started_at / DAY, end / DAY, "span", when)


def _marks(entries: Sequence[TimelineEntry]) -> Iterator[SpanRow]:
    for entry in reversed(entries):
        when = to_iso(entry.at)[:16].replace("T", " ")
        if entry.kind == "mail":
            measure, _, mail = entry.title.partition(" · ")
            kind = "sent" if entry.tag == "sent" else "withheld"
            yield SpanRow(measure.rpartition("/")[2], mail, entry.at / DAY, None, kind, when)
        elif entry.kind in _MARKED:
            lane = "events" if entry.kind == "event" else "stages"
            yield SpanRow(lane, entry.title, entry.at / DAY, None, "event", when)


def timeline_page(services: Services, who: str) -> str:
    """Return a person's timeline as one self-contained page. Raises NotFoundError."""
    now = services.clock.now()
    with services.database.read() as connection:
        contact_id = resolve_contact(connection, who)
        playbook = services.playbooks.active(connection).playbook
        story = load_contact_page(connection, contact_id, playbook=playbook, now=now, limit=_ENTRIES_MAX)
    if story is None:
        raise NotFoundError(f"no contact {who!r}")
    picture = page_part(draw_person(story, now), summary="Numbers as a table")
    title = f"The timeline of {escape(story.contact.email or f'contact:{story.contact.id}')}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{title}</title>\n<style>{_CSS}{stylesheet()}</style>\n</head>\n<body><main>\n<h1>{title}</h1>\n"
        f"<p>{escape(story.contact.track)}, {escape(story.contact.stage)}; as of {to_iso(now)[:16]}</p>\n"
        f'{picture}\n<div class="sheet" role="region" tabindex="0" aria-label="Timeline">'
        f"{_table(story.timeline).html()}</div>\n</main></body>\n</html>\n"
    )


def _table(entries: Sequence[TimelineEntry]) -> Table:
    """Return the entries, the newest first, each mail with the checks that stopped it."""
    rows: list[tuple[Any, ...]] = [
        (
            to_iso(entry.at)[:16].replace("T", " "),
            entry.kind,
            entry.title,
            entry.tag.replace("_", " "),
            "; ".join([entry.detail, *_stopped(entry)]).strip("; "),
        )
        for entry in entries
    ]
    return Table(("when (UTC)", "kind", "event", "state", "detail"), tuple(rows))


def _stopped(entry: TimelineEntry) -> list[str]:
    return [f"{check['name']}: {check['detail']}" for check in entry.checks if not check["passed"]]
