"""`nurture report brief`."""

from pathlib import Path
from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import Json, current_actor, open_installation


def brief(
    *,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="WHO", help="Mail it to this owner of the playbook: its name or address."
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="YYYY-MM-DD", help="The last of its seven days; default: yesterday."),
    ] = None,
    locale: Annotated[
        str | None, typer.Option("--locale", help="en or zh-CN; default: the playbook's.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Also write the page to this new file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the week on one page: what moved, what was stopped and why, what needs a person, and thanks by name.

    Each Monday at eight, by the owner's clock, it goes by mail to the owners that BRIEF_TO names, once each. --to mails
    it now.

    Example: nurture report brief --to mira --locale zh-CN
    """
    from nurture.app.figures import brief as briefs

    with open_installation() as services:
        found, mail = briefs.show_brief(services, who=to, until=until, language=locale)
        if html is not None:
            output.write_private_text(html, mail.html)
        if to is not None:
            sent = briefs.send_brief(services, to, until=until, language=locale, actor=current_actor())
            output.print_result(sent, as_json=as_json)
            return
    if as_json:
        output.print_json(briefs.brief_values(found))
    else:
        output.print_text(f"{mail.subject}\n\n{mail.text}")
