"""`nurture send`: send a measure to one person, to a list or to an audience."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nurture.cli import output
from nurture.cli.context import DryRun, Json, Measure, Yes, confirm, current_actor, open_installation
from nurture.cli.preview import Locale, Persona, Playbook, Variant
from nurture.domain.errors import InputError

if TYPE_CHECKING:
    from nurture.app.previews import PreviewOptions
    from nurture.app.sends.hand_in import SendOrder
    from nurture.app.sends.recipients import Recipients
    from nurture.app.services import Services

#: Unknown names of a list that are printed; `--json` has all of them.
_UNKNOWN_SHOWN = 20
#: So many people lie between two notices of progress.
_PROGRESS_EACH = 5_000


def send(
    measure: Measure,
    *,
    to: Annotated[
        list[str] | None,
        typer.Option(help="One person: e-mail address, id:USER_ID or contact:N. Repeatable.", metavar="WHO"),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help="A list of people: one WHO a line, or a column of a CSV, Excel or JSON lines file."
        ),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(help="The column of --file that names the people; default: email, user_id ..."),
    ] = None,
    audience: Annotated[str | None, typer.Option(help="Everybody whom this condition matches.")] = None,
    at: Annotated[
        str | None,
        typer.Option(help="Earliest send time, ahead and with its zone, e.g. 2026-03-01T09:00:00+01:00."),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(help="Mails that may leave an hour or a minute, evenly, e.g. 500/h or 10/min."),
    ] = None,
    request: Annotated[
        str | None, typer.Option(help="Request id. Repeating a request sends nothing twice.")
    ] = None,
    occasion: Annotated[
        str | None, typer.Option(help="Name of the occasion, for a measure that says `once: per occasion`.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="The key that the measure's `once` names. Repeatable."
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option(help="Send again to people who had it. Asks, and is kept in the audit log.")
    ] = False,
    test: Annotated[
        str | None,
        typer.Option(help="Send one test mail to this address of yours. It is not counted anywhere."),
    ] = None,
    playbook: Playbook = None,
    locale: Locale = None,
    variant: Variant = None,
    persona: Persona = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Send a measure to one person, a list or an audience. Every mail passes the guard.

    Shows the count, the audience and the first five people, then asks. To follow, pause or cancel it: `nurture sends`.

    Nobody gets it twice: a measure that says `once: per occasion` needs --occasion, one about an order or another
    entity needs --set.

    Example: nurture send customer/advocate/presale_notice --occasion spring --audience 'orders >= 3' --dry-run
    """
    names = to or []
    if test is not None:
        _require_test_alone(
            names,
            {
                "--file": file,
                "--column": column,
                "--audience": audience,
                "--at": at,
                "--rate": rate,
                "--request": request,
                "--occasion": occasion,
                "--set": set_,
                "--again": again,
                "--dry-run": dry_run,
            },
        )
        from nurture.app.previews import PreviewOptions

        wanted = PreviewOptions(
            who=names[0] if names else None, locale=locale, variant=variant, persona=persona
        )
        _send_test(measure, wanted, address=test, playbook=playbook, as_json=as_json)
        return
    if playbook is not None or locale or variant or persona:
        raise InputError("--playbook, --locale, --variant and --persona belong to --test ADDRESS; add it")
    from nurture.app.option_values import read_future_instant
    from nurture.app.sends.hand_in import SendOrder, people_to_approve, request_id
    from nurture.app.sends.options import SendOptions, read_values
    from nurture.domain.guard.sends import read_rate
    from nurture.runtime import gc_tuning

    options = SendOptions(occasion or "", again, read_values(set_ or []))
    per_hour = read_rate(rate) if rate else None
    # A forecast and the pages of a send make many objects that the collector would visit again and again.
    gc_tuning.settle()
    with open_installation() as services:
        now = services.clock.now()
        recipients = _find_recipients(services, names, file, column, audience)
        order = SendOrder(
            measure,
            recipients,
            request=request or request_id(measure, recipients.words, now),
            actor=current_actor(),
            at=read_future_instant(at, now=now) if at else None,
            rate=per_hour,
            options=options,
        )
        large = people_to_approve(services, recipients)
        is_asked = large is not None or not (yes or as_json)
        planned = _plan(services, order, is_large=large is not None, forecast=dry_run or is_asked)
        if dry_run or not as_json:
            _print_plan(planned, recipients, as_json=as_json)
        if dry_run:
            return
        _ask(order, planned, yes=yes)
        order = replace(order, options=replace(options, forecast=planned.get("forecast")))
        _begin(services, order, large=large, as_json=as_json)


def _require_test_alone(names: list[str], counted: Mapping[str, object]) -> None:
    """Refuse what a test mail would ignore. counted: option -> its value. Raises InputError."""
    unused = [name for name, value in counted.items() if value]
    if unused:
        raise InputError(f"--test sends one mail to you, at once and for no occasion: leave {unused[0]} out")
    if len(names) > 1:
        raise InputError("--test shows the mail of one person: name one with --to, or leave it out")


def _plan(services: "Services", order: "SendOrder", *, is_large: bool, forecast: bool) -> dict[str, Any]:
    """Return the plan of the send, with its forecast where it is wanted; a large one tells its progress."""
    from nurture.app.sends import forecast as forecasts
    from nurture.app.sends.plan import plan

    planned = plan(services, order.measure, order.recipients, options=order.options)
    planned["second_operator"] = is_large
    if forecast:
        wanted = forecasts.ForecastOptions(at=order.at, rate=order.rate, options=order.options)
        progress = _make_progress() if planned["people"] > _PROGRESS_EACH else None
        planned["forecast"] = forecasts.forecast(
            services, order.measure, order.recipients, wanted, progress=progress
        )
    return planned


def _make_progress() -> Callable[[int], None]:
    """Return a function that prints a notice each time that so many more people were looked at."""
    due = _PROGRESS_EACH

    def tell(done: int) -> None:
        nonlocal due
        if done >= due:
            output.print_notice(f"forecast: {done} people looked at")
            due = done - done % _PROGRESS_EACH + _PROGRESS_EACH

    return tell


def _ask(order: "SendOrder", planned: dict[str, Any], *, yes: bool) -> None:
    """Ask before anything but one mail to one known person is sent."""
    if planned["people"] != 1 or order.options.again or order.recipients.unknown:
        verb = "Ask a second operator to send" if planned["second_operator"] else "Send"
        repeat = " again" if order.options.again else ""
        confirm(f"{verb} {order.measure}{repeat} to {_reach(planned)}?", yes=yes)


def _forecast_fields(planned: dict[str, Any]) -> dict[str, Any]:
    """Return the forecast as it is printed; empty when it was not asked for."""
    reached = planned.get("forecast")
    if reached is None:
        return {}
    later = f"{reached['reached_later']} ({reached['later_from']} to {reached['later_until']})"
    return {
        "reached now": reached["reached_now"],
        "reached later": later if reached["reached_later"] else 0,
        "already sent": reached["already_sent"],
        "never reached": reached["never"],
    }


def _reach(planned: dict[str, Any]) -> str:
    """Return how many people the send may enter, and how many of them it reaches where that is known."""
    people = f"{planned['people']} people"
    reached = planned.get("forecast")
    return people if reached is None else f"{people} ({reached['reached']} of them get a mail)"


def _find_recipients(
    services: "Services", names: list[str], file: Path | None, column: str | None, audience: str | None
) -> "Recipients":
    if not (names or file) and audience is None:
        raise InputError("name the recipients: --to WHO and --file FILE, or --audience EXPR")
    if (names or file) and audience is not None:
        raise InputError(
            "--audience and a list (--to, --file) exclude each other: send twice, or name one of them"
        )
    if column is not None and file is None:
        raise InputError("--column names a column of --file: add --file FILE, or leave it out")
    from nurture.app.sends.recipients import audience_of, find_recipients

    if audience is not None:
        return audience_of(audience)
    return find_recipients(services, names, file=file, column=column)


def _begin(services: "Services", order: "SendOrder", *, large: int | None, as_json: bool) -> None:
    """Begin the send, or request it where a second operator must approve it."""
    from nurture.app import approvals
    from nurture.app.sends import hand_in

    if large is not None and not hand_in.has_started(services, order.request):
        asked = approvals.request_approval(services, order, people=large)
        output.print_result(asked, as_json=as_json, title="waiting for a second operator")
        output.print_notice(
            f"another operator approves it with: nurture sends approve {quote(order.request)}"
        )
        return
    done = hand_in.send(services, order)
    if order.recipients.unknown:
        done["unknown"] = len(order.recipients.unknown)
    output.print_result(done, as_json=as_json, title="send started")
    output.print_notice(f"follow it with: nurture sends show {quote(order.request)}")


def _send_test(
    measure: str, options: "PreviewOptions", *, address: str, playbook: Path | None, as_json: bool
) -> None:
    """Send a test mail of the published programme, or of a folder; a folder needs no database."""
    from nurture.app import previews
    from nurture.app.installation import has_database
    from nurture.runtime.settings import load_settings

    if playbook is not None and not has_database(load_settings()):
        source = previews.of_folder(playbook)
        done = previews.send_test(
            source, measure, options, to=address, actor=current_actor(), settings=load_settings()
        )
    else:
        with open_installation() as services:
            source = (
                previews.published(services) if playbook is None else previews.of_folder(playbook, services)
            )
            done = previews.send_test(
                source, measure, options, to=address, actor=current_actor(), settings=services.settings
            )
    output.print_result(done, as_json=as_json, title="test mail sent")


def _print_plan(planned: dict[str, Any], recipients: "Recipients", *, as_json: bool) -> None:
    if as_json:
        output.print_json(planned)
        return
    output.print_fields(
        {
            "measure": planned["measure"],
            "audience": recipients.words,
            "people": planned["people"],
            "would not enter": planned["not_entering"],
            **_forecast_fields(planned),
            "second operator": "needed" if planned["second_operator"] else "not needed",
        }
    )
    output.print_table(planned["first"], ["contact", "email", "track", "stage"], title="first people")
    unknown = planned["unknown"]
    if unknown:
        shown = unknown[:_UNKNOWN_SHOWN]
        title = "1 name leads to nobody" if len(unknown) == 1 else f"{len(unknown)} names lead to nobody"
        if len(unknown) > len(shown):
            title += f"; the first {len(shown)} (all of them: --dry-run --json)"
        output.print_table(shown, ["place", "who", "why"], title=title)
