"""`nurture contact`: show, explain, merge, export and erase one person."""

from pathlib import Path
from typing import Annotated, Any

import typer

from nurture.cli import output
from nurture.cli.context import DryRun, Json, Who, Yes, confirm, current_actor, open_installation

app = typer.Typer(help="Show, explain, merge, export and erase one person.", no_args_is_help=True)


@app.command()
def show(who: Who, *, as_json: Json = False) -> None:
    """Show a person: stage, facts, consents, holds and active runs.

    Example: nurture contact show ada@example.com
    """
    from nurture.app import contacts

    with open_installation() as services:
        person = contacts.show(services, who)
        if as_json:
            output.print_json(person)
            return
        person = output.with_local_times(person, contacts.local_zone(services, who))
    simple = {name: value for name, value in person.items() if not isinstance(value, list | dict)}
    output.print_fields(simple, title=f"contact:{person['contact']}")
    known_as = [f"{name} ({trust})" for name, trust in person["identities"].items()]
    output.print_fields({"identities": known_as, "mails": person["messages"]})
    output.print_fields(person["shown_facts"], title="facts")
    if person["segments"]:
        output.print_fields(person["segments"], title="segments")
    output.print_table(person["consents"], ["topic", "state", "at", "source"], title="consent")
    output.print_table(
        person["suppressions"], ["of", "scope", "reason", "since", "source", "way_back"], title="suppressions"
    )
    output.print_fields(person["wishes"], title="preferences")
    output.print_table(person["conflicts"], ["id", "kind", "other", "what", "at"], title="open conflicts")
    output.print_table(person["holds"], ["hold", "until", "owner"], title="holds")
    output.print_table(
        person["runs"], ["measure", "key", "step", "since", "due_at", "holdout"], title="active runs"
    )


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="A part of a name, an address or an id.", metavar="TEXT")],
    *,
    limit: Annotated[int, typer.Option(min=1, help="Show at most so many.")] = 20,
    as_json: Json = False,
) -> None:
    """Find people by a part of their name, address or id; whole addresses and ids come first.

    Example: nurture contact search miller
    """
    from nurture.app import contacts

    with open_installation() as services:
        lines = contacts.search(services, text, limit=limit)
    columns = ["contact", "email", "name", "track", "stage", "since"]
    output.print_rows(lines, columns, as_json=as_json, empty=f"nobody has {text!r} in a name, address or id")


@app.command()
def timeline(
    who: Who,
    *,
    limit: Annotated[int, typer.Option(help="Number of entries; the newest are kept.", min=1)] = 100,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write one self-contained page with a picture, that only you can read."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show everything that happened to a person, oldest first.

    Example: nurture contact timeline id:42 --html 42.html
    """
    from nurture.app import contacts
    from nurture.app.pictures import timeline_page

    with open_installation() as services:
        if html is not None:
            output.write_private_text(html, timeline_page(services, who))
            output.print_notice(f"the timeline was written to {html}")
            return
        moments = contacts.timeline(services, who, limit=limit)
        if as_json:
            output.print_json_lines(moments)
            return
        moments = output.with_local_times(moments, contacts.local_zone(services, who))
    output.print_table(moments, ["at", "kind", "what", "detail"])


@app.command("next")
def next_(
    who: Who,
    *,
    days: Annotated[int, typer.Option(help="Look so many days ahead.", min=1, max=400)] = 60,
    as_json: Json = False,
) -> None:
    """Show the mails that a person will get next, and when, if nothing new happens; and those withheld, and why.

    Rules and guard are played ahead as they stand now. Any event may change the answer.

    Example: nurture contact next ada@example.com --days 30
    """
    from nurture.app import contacts

    with open_installation() as services:
        mails, zone = contacts.next_mails(services, who, days=days), contacts.local_zone(services, who)
    if as_json:
        output.print_json(mails)
        return
    columns = ["at", "measure", "step", "outcome", "reason", "unless"]
    shown = output.with_local_times(mails, zone)
    output.print_table(
        shown, columns, title=f"the next {days} days", empty="no mail, unless something happens"
    )


@app.command()
def why(
    who: Who,
    measure: Annotated[str, typer.Argument(help="A measure's path, e.g. lead/any/abandoned_cart.")],
    *,
    at: Annotated[
        str | None,
        typer.Option(help="Explain the state at this time, with its zone, e.g. 2026-03-01T12:00:00Z."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Explain why a person got a measure or did not, with every condition and its value.

    Example: nurture contact why ada@example.com customer/any/second_order_coupon
    """
    from nurture.app import contacts
    from nurture.app.option_values import read_instant

    with open_installation() as services:
        answer = contacts.why(services, who, measure, at=read_instant(at) if at else None)
        zone = contacts.local_zone(services, who)
    if as_json:
        output.print_json(answer)
        return
    answer = output.with_local_times(answer, zone)
    outcome = answer["outcome"].replace("_", " ")
    output.print_text(f"{measure} for contact:{answer['contact']}: {outcome}")
    output.print_text(answer["answer"])
    output.print_table(
        answer["mails"], ["step", "key", "status", "reason", "judged_at", "due_at", "sent_at"], title="mails"
    )
    for mail in answer.get("judged_now", []):
        until = f" until {mail['until']}" if mail["until"] else ""
        because = f": {mail['because']}" if mail["because"] else ""
        output.print_text(f"{mail['step']} judged now: {mail['action']}{until}{because}")
    output.print_table(answer["findings"], ["check", "met", "value", "change"], title="checks")


@app.command()
def merge(who: Who, other: Who, *, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False) -> None:
    """Merge two contacts into one: identities, facts and mails; the stricter consent holds.

    Example: nurture contact merge ada@example.com id:42 --dry-run
    """
    from nurture.app import contacts

    with open_installation() as services:
        plan = contacts.preview_merge(services, who, other)
        if dry_run or not as_json:
            _print_merge(plan, as_json=as_json)
        if dry_run:
            return
        confirm(f"Merge contact:{plan['merged']} into contact:{plan['survivor']}?", yes=yes)
        joined = contacts.merge(services, who, other, actor=current_actor())
    output.print_result(joined, as_json=as_json, title="merged")


def _print_merge(plan: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.print_json(plan)
        return
    output.print_table(
        plan["people"], ["contact", "names", "track", "stage", "events", "mails"], title="two contacts"
    )
    output.print_fields({"survivor": f"contact:{plan['survivor']}", "runs ended": plan["given_up"]})


@app.command()
def unmerge(who: Who, *, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False) -> None:
    """Undo a merge: the contact gets its identities and events back, and both states are computed again.

    Events after the merge stay with the survivor. Withdrawals of either hold for both.

    Example: nurture contact unmerge contact:17
    """
    from nurture.app import contacts

    with open_installation() as services:
        plan = contacts.preview_unmerge(services, who)
        if dry_run or not as_json:
            output.print_result(plan, as_json=as_json, title="to be unmerged")
        if dry_run:
            return
        confirm(f"Unmerge contact:{plan['contact']} from contact:{plan['survivor']}?", yes=yes)
        parted = contacts.unmerge(services, f"contact:{plan['contact']}", actor=current_actor())
    output.print_result(parted, as_json=as_json, title="unmerged")


@app.command()
def consent(
    who: Who,
    topic: Annotated[str, typer.Argument(help="A topic of the playbook, or * for everything.")],
    state: Annotated[str, typer.Argument(help="granted or withdrawn.")],
    *,
    evidence: Annotated[
        str, typer.Option(help="How the person said so; stored with the consent.")
    ] = "told by ops",
    as_json: Json = False,
) -> None:
    """Record a consent or a withdrawal for a topic.

    Example: nurture contact consent ada@example.com news withdrawn
    """
    from nurture.app import contacts

    with open_installation() as services:
        done = contacts.consent(services, who, topic, state, actor=current_actor(), evidence=evidence)
    output.print_result(done, as_json=as_json)


@app.command()
def export(
    who: Who,
    *,
    out: Annotated[
        Path | None, typer.Option(help="A new file that only you can read; default: standard output.")
    ] = None,
    as_json: Json = False,  # noqa: ARG001 - the output is always JSON
) -> None:
    """Export everything stored about a person as one JSON document for that person.

    Example: nurture contact export ada@example.com --out ada.json
    """
    from nurture.app import privacy

    with open_installation() as services:
        found = privacy.export_contact(services, who, actor=current_actor())
    if out is None:
        output.print_json(found)
        return
    output.write_private_file(out, found)
    rows = sum(len(part) for part in found.values() if isinstance(part, list))
    output.print_notice(f"{rows} rows written to {out}")


@app.command()
def erase(who: Who, *, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False) -> None:
    """Erase a person: cancel their mail and remove all personal data; counts stay.

    Their addresses stay suppressed for marketing, stored as hashes. This cannot be undone.

    Example: nurture contact erase ada@example.com --dry-run
    """
    from nurture.app import privacy

    with open_installation() as services:
        planned = privacy.preview_erasure(services, who)
        if dry_run:
            output.print_result(planned, as_json=as_json, title="would be erased")
            return
        if not as_json:
            output.print_fields(planned, title="to be erased")
        confirm(f"Erase contact:{planned['contact']}? This cannot be undone.", yes=yes)
        done = privacy.erase_contact(services, f"contact:{planned['contact']}", actor=current_actor())
    output.print_result(done, as_json=as_json, title="erased")
