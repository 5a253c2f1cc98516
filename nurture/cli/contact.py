"""`nurture contact`: one person."""

from pathlib import Path
from typing import Annotated, Any

import typer

from nurture.cli import output
from nurture.cli.context import DryRun, Json, Who, Yes, actor, confirm, services

app = typer.Typer(
    help="One person: where they stand, what happened, why a mail was or was not sent.", no_args_is_help=True
)


@app.command()
def show(who: Who, *, as_json: Json = False) -> None:
    """Show where a person stands.

    Example: nurture contact show ada@example.com
    """
    from nurture.app import contacts

    with services() as opened:
        person = contacts.show(opened, who)
    if as_json:
        output.document(person)
        return
    simple = {name: value for name, value in person.items() if not isinstance(value, list | dict)}
    output.pairs(simple, title=f"contact:{person['contact']}")
    output.pairs({"identities": list(person["identities"]), "mails": person["messages"]})
    facts = {name: value for name, value in person["facts"].items() if ":" not in name}
    output.pairs(facts, title="facts")
    output.table(person["consents"], ["topic", "state", "at", "source"], title="consent")
    output.pairs(person["wishes"], title="wishes")
    output.table(person["holds"], ["hold", "until", "owner"], title="holds")
    output.table(
        person["runs"], ["measure", "key", "step", "since", "due_at", "holdout"], title="active runs"
    )


@app.command()
def timeline(
    who: Who,
    *,
    limit: Annotated[int, typer.Option(help="Newest moments.", min=1)] = 100,
    as_json: Json = False,
) -> None:
    """Show everything that happened to a person, oldest first.

    Example: nurture contact timeline id:42
    """
    from nurture.app import contacts

    with services() as opened:
        moments = contacts.timeline(opened, who, limit=limit)
    if as_json:
        output.lines(moments)
    else:
        output.table(moments, ["at", "kind", "what", "detail"])


@app.command()
def why(
    who: Who,
    measure: Annotated[str, typer.Argument(help="A measure's path, e.g. lead/convert/abandoned_cart.")],
    *,
    at: Annotated[str | None, typer.Option(help="As it stood then, e.g. 2026-03-01T12:00:00Z.")] = None,
    as_json: Json = False,
) -> None:
    """Explain why a person got a measure or not, with every condition and its value.

    Example: nurture contact why ada@example.com customer/any/second_order_coupon
    """
    from nurture.app import contacts
    from nurture.app.tracking import read_instant

    with services() as opened:
        answer = contacts.why(opened, who, measure, at=read_instant(at) if at else None)
    if as_json:
        output.document(answer)
        return
    output.console().print(
        f"{measure} for contact:{answer['contact']}: {answer['outcome'].replace('_', ' ')}"
    )
    output.text(answer["answer"])
    output.table(answer["mails"], ["step", "key", "status", "reason", "due_at", "sent_at"], title="mails")
    output.table(answer["findings"], ["check", "met", "value", "change"], title="checks")


@app.command()
def merge(who: Who, other: Who, *, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False) -> None:
    """Join two contacts into one: names, facts and mails together, the stricter consent of both.

    Example: nurture contact merge ada@example.com id:42 --dry-run
    """
    from nurture.app import contacts

    with services() as opened:
        plan = contacts.preview_merge(opened, who, other)
        if dry_run or not as_json:
            output.document(plan) if as_json else _show_merge(plan)
        if dry_run:
            return
        confirm(f"Join contact:{plan['merged']} into contact:{plan['survivor']}?", yes=yes)
        joined = contacts.merge(opened, who, other, actor=actor())
    if as_json:
        output.document(joined)
    else:
        output.pairs(joined, title="joined")


def _show_merge(plan: dict[str, Any]) -> None:
    output.table(
        plan["people"], ["contact", "names", "track", "stage", "events", "mails"], title="two contacts"
    )
    output.pairs({"stays": f"contact:{plan['survivor']}", "runs given up": plan["given_up"]})


@app.command()
def unmerge(who: Who, *, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False) -> None:
    """Take a contact out of the one it was merged into: its names and events go back, both are answered anew.

    What came after the merge stays where it is, and what either has withdrawn holds for both.

    Example: nurture contact unmerge contact:17
    """
    from nurture.app import contacts

    with services() as opened:
        plan = contacts.preview_unmerge(opened, who)
        if dry_run or not as_json:
            output.document(plan) if as_json else output.pairs(plan, title="to be parted")
        if dry_run:
            return
        confirm(f"Take contact:{plan['contact']} out of contact:{plan['survivor']}?", yes=yes)
        parted = contacts.unmerge(opened, f"contact:{plan['contact']}", actor=actor())
    if as_json:
        output.document(parted)
    else:
        output.pairs(parted, title="parted")


@app.command()
def consent(
    who: Who,
    topic: Annotated[str, typer.Argument(help="A topic of the playbook, or * for everything.")],
    state: Annotated[str, typer.Argument(help="granted or withdrawn.")],
    *,
    evidence: Annotated[str, typer.Option(help="How they said it: kept with the consent.")] = "told by ops",
    as_json: Json = False,
) -> None:
    """Write down what a person said about a topic.

    Example: nurture contact consent ada@example.com news withdrawn
    """
    from nurture.app import contacts
    from nurture.domain.errors import InputError

    if state == "granted":
        with services() as opened:
            done = contacts.consent(opened, who, topic, "granted", actor=actor(), evidence=evidence)
    elif state == "withdrawn":
        with services() as opened:
            done = contacts.consent(opened, who, topic, "withdrawn", actor=actor(), evidence=evidence)
    else:
        message = f"{state!r}: write granted or withdrawn"
        raise InputError(message)
    if as_json:
        output.document(done)
    else:
        output.pairs(done)


@app.command()
def export(
    who: Who,
    *,
    out: Annotated[
        Path | None, typer.Option(help="A file only you can read; default: standard output.")
    ] = None,
    as_json: Json = False,  # noqa: ARG001 - it is JSON anyway
) -> None:
    """Write everything stored of a person, as one JSON document that they may be given.

    Example: nurture contact export ada@example.com --out ada.json
    """
    from nurture.app import privacy

    with services() as opened:
        found = privacy.export_contact(opened, who, actor=actor())
    if out is None:
        output.document(found)
        return
    output.private_file(out, found)
    rows = sum(len(part) for part in found.values() if isinstance(part, list))
    output.note(f"{rows} rows in {out}")


@app.command()
def erase(who: Who, *, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False) -> None:
    """Forget a person: cancel their mail, remove everything that names them, keep the figures.

    Their addresses stay suppressed for marketing, as hashes only. This cannot be undone.

    Example: nurture contact erase ada@example.com --dry-run
    """
    from nurture.app import privacy

    with services() as opened:
        planned = privacy.preview_erasure(opened, who)
        if dry_run:
            output.document(planned) if as_json else output.pairs(planned, title="would be erased")
            return
        if not as_json:
            output.pairs(planned, title="to be erased")
        confirm(f"Erase contact:{planned['contact']} for good?", yes=yes)
        done = privacy.erase_contact(opened, f"contact:{planned['contact']}", actor=actor())
    if as_json:
        output.document(done)
    else:
        output.pairs(done, title="erased")
