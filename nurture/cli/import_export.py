"""`nurture import`, `export` and `track`: events and people in and out by hand."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from nurture.cli import output
from nurture.cli.context import Json, Who, actor, services


def import_(
    file: Annotated[Path, typer.Argument(help="CSV with a header line, or JSON lines.")],
    *,
    format_: Annotated[
        Literal["csv", "jsonl"] | None, typer.Option("--format", help="Default: by the ending.")
    ] = None,
    kind: Annotated[Literal["events", "contacts", "objects"], typer.Option(help="What a row is.")] = "events",
    mapping: Annotated[
        list[str] | None, typer.Option("--map", metavar="COLUMN=FIELD", help="Repeatable.")
    ] = None,
    event: Annotated[str | None, typer.Option(help="Event name for rows that have none.")] = None,
    historic: Annotated[
        bool, typer.Option("--historic", help="Facts and a baseline only, never mail.")
    ] = False,
    backlog: Annotated[
        Literal["none", "enter"],
        typer.Option(help="With --historic: whom a condition already fits does not enter, or enters."),
    ] = "none",
    as_json: Json = False,
) -> None:
    """Import a file; may be stopped and started again. Bad rows go to FILE.rejected with the reason.

    Columns with a meaning: user_id, email, phone, anonymous_id, event, timestamp, message_id; for contacts also
    consent_TOPIC (granted or withdrawn), consent_at, consent_source. All others become properties or traits.

    Example: nurture import orders.csv --historic --map mail=email
    """
    from nurture.app import imports

    options = imports.Options(
        kind=kind,
        format=format_,
        map=imports.read_map(mapping or []),
        event=event,
        historic=historic,
        backlog=backlog,
    )
    with services() as opened:
        outcome = imports.import_file(
            opened, file, options, actor=actor(), progress=_progress(as_json=as_json)
        )
    if as_json:
        output.document(outcome.document())
        return
    if sys.stderr.isatty():
        sys.stderr.write("\n")
    if outcome.already_done:
        output.note(f"{file} was imported before with these options: nothing to do")
    output.pairs(outcome.document())


def _progress(*, as_json: bool) -> Callable[[int], None]:
    def show(rows: int) -> None:
        if not as_json and sys.stderr.isatty():
            sys.stderr.write(f"\r{rows} rows")
            sys.stderr.flush()

    return show


def export(
    noun: Annotated[Literal["contacts", "events", "messages"], typer.Argument(help="What to write.")],
    *,
    audience: Annotated[str | None, typer.Option(help="Only these people, a condition.")] = None,
    out: Annotated[Path | None, typer.Option(help="A file; default: standard output.")] = None,
    format_: Annotated[Literal["csv", "jsonl"], typer.Option("--format", help="CSV or JSON lines.")] = "csv",
    as_json: Json = False,
) -> None:
    """Write contacts, events or messages.

    Example: nurture export contacts --audience 'orders >= 2' --out good.csv
    """
    from nurture.app import exports

    kind = "jsonl" if as_json else format_
    with services() as opened:
        if out is None:
            exports.export(opened, noun, sys.stdout, expression=audience, kind=kind, actor=actor())
            return
        with out.open("w", encoding="utf-8", newline="") as stream:
            written = exports.export(opened, noun, stream, expression=audience, kind=kind, actor=actor())
    output.note(f"{written} {noun} in {out}")


def track(
    who: Who,
    event: Annotated[str, typer.Argument(help="The event's name, e.g. 'Order Completed'.")],
    *,
    properties: Annotated[
        list[str] | None, typer.Option("-p", metavar="KEY=VALUE", help="A property; repeatable.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="When it happened, e.g. 2026-03-01T12:00:00Z; default now.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Hand one event in by hand.

    Example: nurture track ada@example.com 'Order Completed' -p order_id=o1 -p revenue=19.90
    """
    from nurture.app import tracking

    with services() as opened:
        done = tracking.track(
            opened,
            who,
            event,
            properties=tracking.read_properties(properties or []),
            at=tracking.read_instant(at) if at else None,
            actor=actor(),
        )
    if as_json:
        output.document(done)
    else:
        output.pairs(done, title="accepted")
