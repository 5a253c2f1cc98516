"""`nurture preview`: show a mail exactly as it would be sent."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json, open_installation


def preview(
    target: Annotated[
        str, typer.Argument(metavar="MEASURE[/STEP]", help="A measure's path, optionally with a step.")
    ],
    *,
    as_who: Annotated[
        str | None, typer.Option("--as", metavar="WHO", help="Use this person's own values.")
    ] = None,
    sample: Annotated[bool, typer.Option("--sample", help="Use the measure's sample (the default).")] = False,
    locale: Annotated[str | None, typer.Option(help="Language, e.g. zh-CN.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the HTML part to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Show a mail exactly as it would be sent.

    Example: nurture preview lead/any/welcome_series --locale zh-CN --html mail.html
    """
    from nurture.app import previews

    with open_installation() as services:
        mail = previews.preview(services, target, who=None if sample else as_who, locale=locale)
    if html is not None:
        html.write_text(mail["html"], encoding="utf-8")
    if as_json:
        output.print_json(mail)
        return
    if mail.get("to"):
        output.print_notice(f"A mail to people of the house: {mail['to']}")
    sys.stdout.write(f"Subject: {mail['subject']}\nPreheader: {mail['preheader']}\n\n{mail['text']}\n")
    for note in mail["notes"]:
        output.print_notice(note)
    if html is not None:
        output.print_notice(f"HTML part written to {html}")
