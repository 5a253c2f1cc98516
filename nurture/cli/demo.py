"""`nurture demo` and `nurture simulate`: the programme on virtual time."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from nurture.cli import output
from nurture.cli.context import Json

People = Annotated[int, typer.Option(help="How many people.", min=1, max=1_000_000)]
Days = Annotated[int, typer.Option(help="How many days they live.", min=1, max=3_660)]
Seed = Annotated[int, typer.Option(help="The same seed gives the same lives.")]


def demo(
    *,
    people: People = 100,
    days: Days = 60,
    seed: Seed = 7,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Play, print the summary, and exit.")] = False,
    port: Annotated[int, typer.Option(help="Port of the console.", min=0, max=65_535)] = 8025,
    as_json: Json = False,
) -> None:
    """Let people live through days of virtual time in the real pipeline, then show their mails.

    Everything is kept in the folder nurture-demo, which the next demonstration makes anew.

    Example: nurture demo --people 500 --days 90 --no-serve --json
    """
    from nurture.app import demo as show

    opened, summary = show.play(
        show.Options(people=people, days=days, seed=seed), progress=_progress(as_json=as_json)
    )
    try:
        output.document(summary) if as_json else print_summary(summary)
        if not no_serve:
            from nurture.cli.processes import serve_embedded

            serve_embedded(opened, port=port)
    finally:
        opened.close()


#: Seconds between two looks at how far it is: in a terminal, where the line is written over, and elsewhere.
_LOOKS = (0.2, 10.0)


def _progress(*, as_json: bool) -> Any:
    """Return what tells on standard error how far a play is; nothing beside --json, which machines read."""
    from nurture.domain.instant import to_iso
    from nurture.runtime.clock import monotonic

    is_terminal = sys.stderr.isatty()
    begin, end = ("\r", " ") if is_terminal else ("", "\n")
    told, shown = monotonic(), False

    def show(moment: Any) -> None:
        nonlocal told, shown
        now, is_over = monotonic(), moment.at >= moment.end
        # What is over at once tells nothing on the way.
        if now - told < _LOOKS[not is_terminal] and not (is_over and shown):
            return
        told, shown = now, True
        done = f"{moment.counts['applied']:,} events, {moment.counts['sent']:,} mails"
        line = f"{begin}{to_iso(moment.at)[:10]} {moment.share:4.0%}  {done}"
        sys.stderr.write(line + ("\n" if is_over else end))
        sys.stderr.flush()

    return None if as_json else show


def print_summary(summary: dict[str, Any]) -> None:
    """Print who stands where, what was sent, and why something was not."""
    output.pairs({name: summary[name] for name in ("from", "to", "events", "mails")})
    output.table(summary["stages"], ["track", "stage", "people"], title="people by stage")
    columns = [
        "measure",
        "planned",
        "sent",
        "skipped",
        "cancelled",
        "expired",
        "failed",
        "in_doubt",
        "waiting",
    ]
    output.table(summary["measures"], columns, title="mails by measure")
    reasons = [{"reason": name, "mails": count} for name, count in summary["reasons"].items()]
    output.table(reasons, ["reason", "mails"], title="not sent, by reason")


def simulate(
    *,
    people: People = 1_000,
    days: Days = 90,
    seed: Seed = 7,
    events: Annotated[
        Path | None, typer.Option(help="Real history instead: a CSV or JSON-lines file of events.")
    ] = None,
    contacts: Annotated[
        Path | None, typer.Option(help="With --events: who they are and what they consented to.")
    ] = None,
    playbook: Annotated[
        Path | None, typer.Option(help="The programme to play; default NURTURE_PLAYBOOK.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="A second programme: show the differences in mails.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Play the programme on virtual time in a private temporary database; nothing leaves, nothing stays.

    Example: nurture simulate --people 2000 --days 120 --against next/
    """
    from nurture.app import simulate as ask

    options = ask.Options(
        people=people, days=days, seed=seed, events=events, contacts=contacts, playbook=playbook
    )
    if against is None:
        summary = ask.run(options, progress=_progress(as_json=as_json))
        output.document(summary) if as_json else print_summary(summary)
        return
    compared = ask.compare(options, against, progress=_progress(as_json=as_json))
    output.document(compared) if as_json else output.table(
        compared["differences"],
        ["measure", "mails", "mails_against", "difference"],
        title="differences in mails",
    )
