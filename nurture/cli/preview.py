"""`nurture preview`: show a mail exactly as it would be sent."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nurture.cli import output
from nurture.cli.context import Json, open_installation

if TYPE_CHECKING:
    from nurture.app.previews import PreviewOptions

Playbook = Annotated[
    Path | None,
    typer.Option(
        "--playbook", metavar="DIR", help="The folder being edited, published or not; needs no database."
    ),
]
Locale = Annotated[str | None, typer.Option(help="Language, e.g. zh-CN.")]
Variant = Annotated[str | None, typer.Option(help="A variant of the measure; default: the first.")]
Persona = Annotated[
    str | None, typer.Option(help="A persona; uses sample.PERSONA.json where the measure has it.")
]


def preview(
    target: Annotated[
        str, typer.Argument(metavar="MEASURE[/STEP]", help="A measure's path, optionally with a step.")
    ],
    *,
    as_who: Annotated[
        str | None, typer.Option("--as", metavar="WHO", help="Use this person's own values.")
    ] = None,
    sample: Annotated[bool, typer.Option("--sample", help="Use the measure's sample (the default).")] = False,
    sample_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Use sample.NAME.json instead of sample.json.")
    ] = None,
    locale: Locale = None,
    variant: Variant = None,
    persona: Persona = None,
    playbook: Playbook = None,
    html: Annotated[Path | None, typer.Option(help="Write the HTML part to this file.")] = None,
    png: Annotated[
        Path | None, typer.Option(help="Write a picture of it, where Chromium is installed.")
    ] = None,
    width: Annotated[int, typer.Option(help="Width of the picture.", min=240, max=2_000)] = 640,
    as_json: Json = False,
) -> None:
    """Show a mail exactly as it would be sent.

    Example: nurture preview lead/any/welcome_series/guide --playbook programme --persona office --html mail.html
    """
    from nurture.app.previews import PreviewOptions

    who = None if sample else as_who
    options = PreviewOptions(who=who, locale=locale, variant=variant, persona=persona, sample=sample_name)
    mail = _compose(target, options, playbook)
    if html is not None:
        html.write_text(mail["html"], encoding="utf-8")
    if png is not None:
        from nurture.app.previews.png import write_png

        write_png(mail["html"], png, width=width)
    if as_json:
        output.print_json(mail)
        return
    if mail.get("to"):
        output.print_notice(f"A mail to people of the house: {mail['to']}")
    sys.stdout.write(f"Subject: {mail['subject']}\nPreheader: {mail['preheader']}\n\n{mail['text']}\n")
    for note in mail["notes"]:
        output.print_notice(note)
    for kind, path in (("HTML part", html), ("picture", png)):
        if path is not None:
            output.print_notice(f"{kind} written to {path}")


def _compose(target: str, options: "PreviewOptions", playbook: Path | None) -> dict[str, Any]:
    from nurture.app import previews

    if playbook is not None and options.who is None:
        return previews.preview(previews.of_folder(playbook), target, options)
    with open_installation() as services:
        source = previews.published(services) if playbook is None else previews.of_folder(playbook, services)
        return previews.preview(source, target, options)
