"""Why a mail came or did not come, in the words of `nurture contact why`, the deciding condition first."""

from typing import TYPE_CHECKING, Any

from nurture.app.contacts import why
from nurture.contacts.queries import resolve_contact
from nurture.contacts.state_codec import decode_run_data
from nurture.domain.errors import NotFoundError
from nurture.domain.instant import format_duration
from nurture.domain.measure import Measure
from nurture.testing import queries
from nurture.testing.instants import localize
from nurture.testing.mails import Mail

if TYPE_CHECKING:
    from nurture.testing.person import Person
    from nurture.testing.programme import TestProgramme


def describe_absence(
    programme: "TestProgramme", person: "Person", measure: Measure, step: str
) -> tuple[str, ...]:
    """Return why no mail of the measure, or of its step, came: the answer, then each check that was not met."""
    try:
        answer = why(programme.services, person.email, measure.path)
    except NotFoundError as error:
        return (str(error),)
    lines = [answer["answer"]]
    mails = [mail for mail in answer["mails"] if step in ("", mail["step"])]
    if answer["mails"] and not mails:
        lines = [f"the run never decided {step}", *lines]
    lines += [
        f"{mail['step']}: {mail['status']}" + (f", {mail['reason']}" if mail["reason"] else "")
        for mail in mails
        if mail["status"] not in ("sent", answer["outcome"])
    ]
    for finding in answer["findings"]:
        is_about_step = finding["check"].startswith("step ")
        if finding["value"] not in lines[0] and (not finding["met"] or is_about_step):
            change = f" ({finding['change']})" if finding["change"] else ""
            lines.append(f"{finding['check']}: {finding['value']}{change}")
    return tuple(localize(line, start=programme.start, zone=person.zone) for line in dict.fromkeys(lines))


def describe_mail(programme: "TestProgramme", mail: Mail, person: "Person") -> tuple[str, ...]:
    """Return why the mail came when it came: what started its run, and how it was put off."""
    measure = programme.loaded.playbook.measures[mail.measure]
    with programme.services.database.read() as connection:
        contact = resolve_contact(connection, person.email)
        rows = queries.load_messages(connection, contact)
        row = next(row for row in rows if row.id == mail.id)
        run = queries.load_run(connection, contact, measure.root, row.run_key)
    lines = []
    if run is not None:
        origin = decode_run_data(run.data).origin
        started = programme.show(run.started_at, person.zone)
        lines.append(f"its run began at {started} on {origin.event or 'an alarm'}")
    decided = programme.show(row.decided_at, person.zone)
    delay = row.sent_at - row.decided_at
    lines.append(
        f"decided at {decided}" + (f" and sent {format_duration(delay)} later" if delay >= 1_000_000 else "")
    )
    return tuple(lines)


def load_reasons(programme: "TestProgramme", person: "Person", measure: Measure, step: str) -> set[str]:
    """Return every reason for which mails of the measure did not come; the first failed check of no entry too."""
    with programme.services.database.read() as connection:
        contact = resolve_contact(connection, person.email)
        reasons = queries.load_reasons(connection, contact, measure.root, step)
    answer = why(programme.services, person.email, measure.path)
    if answer["outcome"] == "never_entered":
        reasons |= {finding["check"] for finding in answer["findings"] if not finding["met"]}
    return reasons | {
        outcome.reason for outcome in _outcomes(programme, person, measure, step) if outcome.reason
    }


def _outcomes(programme: "TestProgramme", person: "Person", measure: Measure, step: str) -> list[Any]:
    with programme.services.database.read() as connection:
        contact = resolve_contact(connection, person.email)
        run = queries.load_newest_run(connection, contact, measure.root)
    if run is None:
        return []
    outcomes = decode_run_data(run.data).outcomes
    return [outcome for name, outcome in outcomes.items() if step in ("", name)]
