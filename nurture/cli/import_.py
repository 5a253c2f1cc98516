"""`nurture import`: import events, contacts, objects or suppressions from a file."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nurture.cli import output
from nurture.cli.context import DryRun, Json, current_actor, load_workers, open_installation

if TYPE_CHECKING:
    from nurture.app.services import Services

#: Parts of the answer that are shown as tables of their own.
_LISTS = ("unread", "remarks", "rejects", "notes")


def import_(
    file: Annotated[
        Path, typer.Argument(help="CSV in any common form, an Excel workbook (.xlsx), or JSON lines.")
    ],
    *,
    format_: Annotated[
        Literal["csv", "jsonl", "xlsx"] | None,
        typer.Option("--format", help="Form of the file; default: by its content."),
    ] = None,
    kind: Annotated[
        Literal["events", "contacts", "objects", "suppressions"] | None,
        typer.Option(help="The kind of row; default: the preset's, else events."),
    ] = None,
    preset: Annotated[
        Literal["mailchimp", "klaviyo", "shopify-customers", "shopify-orders", "woocommerce-orders"] | None,
        typer.Option(help="The tool that wrote the file. Its rows are history: they start no mail."),
    ] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="COLUMN=FIELD",
            help="Read COLUMN as FIELD (or FIELD:TYPE; - leaves it out). Repeatable.",
        ),
    ] = None,
    constants: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="A value for every row; also zone, topic, status, country, consent_at, no=withdrawn. Repeatable.",
        ),
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="One character, or tab; default: recognised.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Such as cp1252; default: recognised.")] = None,
    date_format: Annotated[
        str | None, typer.Option(help="Such as '%d.%m.%Y %H:%M', or excel for numbers of days.")
    ] = None,
    locale: Annotated[
        str | None, typer.Option(help="Language of amounts and dates that read in two ways, such as de.")
    ] = None,
    sheet: Annotated[
        str | None, typer.Option(help="Sheet of a workbook; default: the first with people.")
    ] = None,
    event: Annotated[str | None, typer.Option(help="Event name for rows that have none.")] = None,
    historic: Annotated[
        bool, typer.Option("--historic", help="Import as history: update facts, never send mail.")
    ] = False,
    backlog: Annotated[
        Literal["none", "enter"],
        typer.Option(
            help="With --historic, people who match a condition already: none (they enter only after a change), "
            "or enter (at once)."
        ),
    ] = "none",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Import a file. An interrupted import continues where it stopped. Rejected rows go to FILE.rejected; exit 1.

    Columns with a meaning: user_id, email, phone, anonymous_id, event, timestamp, message_id; for contacts also
    consent_TOPIC, consent, optout, consent_at, consent_source; for suppressions suppressed (the reason) and
    suppressed_at. All others become properties or traits. docs/howto/import.md has a section for each tool.

    Example: nurture import subscribed_members.csv --preset mailchimp --set topic=news --dry-run
    """
    from nurture.app.importing import ImportOptions, import_file, read_map

    options = ImportOptions(
        kind=kind,
        preset=preset,
        format=format_,
        map=read_map(mapping or []),
        set=read_map(constants or [], "--set", "topic=news"),
        event=event,
        historic=historic,
        backlog=backlog,
        delimiter=delimiter,
        encoding=encoding,
        date_format=date_format,
        locale=locale,
        sheet=sheet,
    )
    with open_installation() as services:
        progress = _progress_printer("rows", as_json=as_json)
        outcome = import_file(
            services, file, options, actor=current_actor(), dry_run=dry_run, progress=progress
        )
        _end_progress(as_json=as_json)
        if not dry_run:
            apply_or_hint(services, _progress_printer("events applied", as_json=as_json))
            _end_progress(as_json=as_json)
    _print(outcome.document(), as_json=as_json)
    if outcome.rejected:
        raise typer.Exit(1)


def apply_or_hint(services: "Services", progress: Callable[[int], None] | None = None) -> None:
    """Apply what was accepted where nothing else would; say so when the rows wait for a worker that does not run."""
    from nurture.app.apply_here import apply_here

    if apply_here(services, progress) != "elsewhere" or services.settings.broker_url.startswith("memory:"):
        return
    if load_workers("presence").has_worker(services.settings) is False:
        output.print_notice("no worker runs: the rows wait until one does; start it with: nurture worker")


def _print(document: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.print_json(document)
        return
    fields = {
        name: value
        for name, value in document.items()
        if name not in _LISTS and value not in (None, "", {}, False)
    }
    output.print_fields(fields, title="dry run: nothing was stored" if document["dry_run"] else "import")
    columns = ["line", "column", "cell", "reason"]
    for name, title in (("unread", "cells that could not be read"), ("remarks", "cells to look at")):
        if document[name]:
            output.print_table(document[name], columns, title=title)
    for line in (*document["rejects"], *document["notes"]):
        output.print_text(line)


def _progress_printer(what: str, *, as_json: bool) -> Callable[[int], None]:
    """Return a function that prints a number of something on a terminal."""

    def print_progress(number: int) -> None:
        if not as_json and sys.stderr.isatty():
            sys.stderr.write(f"\r{number} {what}")
            sys.stderr.flush()

    return print_progress


def _end_progress(*, as_json: bool) -> None:
    if not as_json and sys.stderr.isatty():
        sys.stderr.write("\n")
