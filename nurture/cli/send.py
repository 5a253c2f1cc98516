"""`nurture send`, `preview`, `pause`, `resume`, `cancel`: mail by hand, and the stop switches."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import DryRun, Json, Yes, actor, confirm, services

Measure = Annotated[str, typer.Argument(help="A measure's path, e.g. customer/advocate/presale_notice.")]
Switch = Annotated[str, typer.Argument(help="A measure's path, a lane's name, or all.")]


def send(
    measure: Measure,
    *,
    to: Annotated[
        str | None, typer.Option(help="One person: e-mail address, id:USER_ID or contact:N.")
    ] = None,
    audience: Annotated[str | None, typer.Option(help="Everybody for whom this condition is yes.")] = None,
    at: Annotated[str | None, typer.Option(help="Leave not before, e.g. 2026-03-01T09:00:00Z.")] = None,
    request: Annotated[
        str | None, typer.Option(help="Request id; a repeated one sends nothing twice.")
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="Send the sample to this address of yours; counts nowhere.")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Send a measure to one person or an audience, through the same guard as everything else.

    Shows the count, the audience and the first five people, and asks. The stop switch is `nurture cancel MEASURE`.

    Example: nurture send customer/advocate/presale_notice --audience 'orders >= 3' --dry-run
    """
    from nurture.app import approvals, previews, sends
    from nurture.app.tracking import read_instant
    from nurture.domain.errors import InputError
    from nurture.runtime import gc_tuning

    if test is not None:
        with services() as opened:
            done = previews.send_test(opened, measure, to=test, who=to, actor=actor())
        output.document(done) if as_json else output.pairs(done, title="test mail")
        return
    if (to is None) == (audience is None):
        raise InputError("say to whom: either --to WHO or --audience EXPR")
    instant = read_instant(at) if at else None
    with services() as opened:
        planned = sends.plan(opened, measure, who=to, expression=audience)
        many = approvals.needed(opened, who=to, expression=audience)
        planned["second_operator"] = many is not None
        if dry_run:
            _show_plan(planned, audience, as_json=as_json)
            return
        if not as_json:
            _show_plan(planned, audience, as_json=False)
        if planned["people"] != 1:
            verb = "Ask a second operator to send" if many is not None else "Send"
            confirm(f"{verb} {measure} to {planned['people']} people?", yes=yes)
        identifier = request or sends.request_id(measure, to or audience or "", opened.clock.now())
        if many is not None and not sends.is_begun(opened, identifier):
            asked = approvals.ask(
                opened,
                measure,
                expression=audience or "True",
                request=identifier,
                people=many,
                actor=actor(),
                at=instant,
            )
            output.document(asked) if as_json else output.pairs(asked, title="waits for a second operator")
            output.note(f"somebody else says yes: nurture sends approve {identifier}")
            return
        gc_tuning.settle()
        done = sends.send(
            opened, measure, who=to, expression=audience, request=identifier, actor=actor(), at=instant
        )
    output.document(done) if as_json else output.pairs(done, title="handed in")


def _show_plan(planned: dict[str, object], audience: str | None, *, as_json: bool) -> None:
    if as_json:
        output.document(planned)
        return
    output.pairs(
        {
            "measure": planned["measure"],
            "audience": audience or "one person",
            "people": planned["people"],
            "would not enter": planned["not_entering"],
            "second operator": "needed" if planned["second_operator"] else "not needed",
        }
    )
    output.table(planned["first"], ["contact", "email", "track", "stage"], title="first people")  # type: ignore[arg-type]


def preview(
    target: Annotated[str, typer.Argument(metavar="MEASURE[/STEP]", help="A measure, or one step of it.")],
    *,
    as_who: Annotated[
        str | None, typer.Option("--as", metavar="WHO", help="With this person's own values.")
    ] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="With the measure's sample (the default).")
    ] = False,
    locale: Annotated[str | None, typer.Option(help="Language, e.g. zh-CN.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the HTML part to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Show the exact mail.

    Example: nurture preview lead/subscribe/welcome_series --locale zh-CN --html mail.html
    """
    from nurture.app import previews

    with services() as opened:
        mail = previews.preview(opened, target, who=None if sample else as_who, locale=locale)
    if html is not None:
        html.write_text(mail["html"], encoding="utf-8")
    if as_json:
        output.document(mail)
        return
    sys.stdout.write(f"Subject: {mail['subject']}\nPreheader: {mail['preheader']}\n\n{mail['text']}\n")
    if html is not None:
        output.note(f"HTML in {html}")


def pause(
    switch: Switch,
    *,
    reason: Annotated[str, typer.Option(help="Why; shown to everybody.")] = "",
    as_json: Json = False,
) -> None:
    """Stop a measure, a lane or all: nothing that has not passed the wire gate leaves.

    Example: nurture pause all
    """
    _switch(switch, paused=True, reason=reason or "paused by ops", as_json=as_json)


def resume(
    switch: Switch,
    *,
    after_restore: Annotated[
        bool,
        typer.Option(
            "--after-restore",
            help="Fold in the delivery journals of this machine, then lift the stop after a restored backup.",
        ),
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Let a measure, a lane or all go on; what became too late meanwhile expires.

    Example: nurture resume all
    """
    if after_restore:
        _ask_about_unread(yes=yes)
    _switch(switch, paused=False, reason="", as_json=as_json, after_restore=after_restore)


def _ask_about_unread(*, yes: bool) -> None:
    from nurture.app import journals

    with services() as opened:
        unread = journals.unread(opened)
    if unread:
        hosts = ", ".join(sorted({name.split(".")[0] for name in unread}))
        question = (
            f"Nobody has read what {len(unread)} senders on {hosts} have sent: start a worker there first, or mails "
            "that left from there may leave again. Go on without them?"
        )
        confirm(question, yes=yes)


def _switch(name: str, *, paused: bool, reason: str, as_json: bool, after_restore: bool = False) -> None:
    from nurture.app import pauses

    with services() as opened:
        done = pauses.set_switch(
            opened, name, paused=paused, actor=actor(), reason=reason, after_restore=after_restore
        )
    output.document(done) if as_json else output.pairs(done)


def cancel(measure: Measure, *, yes: Yes = False, as_json: Json = False) -> None:
    """Pause a measure and end all its runs and unsent mails for good.

    Example: nurture cancel lead/convert/abandoned_cart
    """
    from nurture.app import pauses

    with services() as opened:
        confirm(f"End every run and unsent mail of {measure} for good?", yes=yes)
        done = pauses.cancel(opened, measure, actor=actor())
    output.document(done) if as_json else output.pairs(done, title="cancelled")
