"""People: show, timeline, why, merge, consent by ops."""

from dataclasses import asdict
from difflib import get_close_matches
from typing import Any, Literal

from nurture.app.services import Services
from nurture.consent import record as law
from nurture.contacts.baseline_queries import load_baselines
from nurture.contacts.event_queries import load_events
from nurture.contacts.queries import load_contacts, resolve_who
from nurture.database.audit import record
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.instant import Instant
from nurture.journey import merge as identity
from nurture.journey.replay import replay_events
from nurture.reports import person as report
from nurture.reports.why import why as explain


def show(services: Services, who: str) -> dict[str, Any]:
    """Return where the person stands."""
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        contact_id = resolve_who(connection, who)
        return report.person(connection, contact_id, playbook=playbook, now=services.clock.now())


def timeline(services: Services, who: str, *, limit: int = 100) -> list[dict[str, Any]]:
    """Return the person's newest moments, oldest first."""
    with services.database.read() as connection:
        contact_id = resolve_who(connection, who)
        return [moment.row() for moment in report.timeline(connection, contact_id, limit=limit)]


def why(services: Services, who: str, measure_path: str, *, at: Instant | None = None) -> dict[str, Any]:
    """Explain one measure for one person, now or as it stood at an instant.

    Raises NotFoundError for a measure that the active playbook does not have.
    """
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        measure = playbook.measures.get(measure_path)
        if measure is None:
            raise NotFoundError(unknown_measure(measure_path, list(playbook.measures)))
        contact_id = resolve_who(connection, who)
        now = services.clock.now()
        if at is None or at >= now:
            contact = load_contacts(connection, [contact_id], playbook)[contact_id]
        else:
            events = [
                event
                for event in load_events(connection, [contact_id])[contact_id]
                if event.received_at <= at
            ]
            kept = load_baselines(connection, [contact_id])[contact_id]
            if any(part.clock > at for part in kept):
                raise NotFoundError("what stood then is not kept any more; name a later time")
            contact, now = replay_events(contact_id, events, playbook, kept), at
        return explain(connection, contact, measure, playbook=playbook, now=now).document()


def unknown_measure(path: str, known: list[str]) -> str:
    """Return the message for a measure that does not exist, with the nearest that do."""
    near = get_close_matches(path, known, n=3, cutoff=0.4) or sorted(known)[:3]
    return (
        f"no measure {path!r} in the active playbook; did you mean {', '.join(near)}? (nurture playbook show)"
    )


def preview_merge(services: Services, who: str, other: str) -> dict[str, Any]:
    """Return what `merge` would do at this instant; changes nothing.

    Raises InputError for one contact named twice, NotFoundError.
    """
    with services.database.read() as connection:
        playbook = services.playbooks.active(connection).playbook
        one, two = _two(connection, who, other)
        plan = identity.preview(connection, one, two, now=services.clock.now(), playbook=playbook)
        return {**asdict(plan), "people": [report.brief(connection, each) for each in (one, two)]}


def merge(services: Services, who: str, other: str, *, actor: str) -> dict[str, Any]:
    """Join two contacts into one by an operator's decision; returns survivor and merged."""

    def work(connection: Any) -> dict[str, Any]:
        now = services.clock.now()
        playbook = services.playbooks.active(connection).playbook
        one, two = _two(connection, who, other)
        joined = identity.merge(connection, one, two, now=now, playbook=playbook, evidence={"actor": actor})
        record(connection, at=now, actor=actor, action="contact.merge", detail=asdict(joined))
        return asdict(joined)

    return services.database.run(work)


def _two(connection: Any, who: str, other: str) -> tuple[int, int]:
    one, two = resolve_who(connection, who), resolve_who(connection, other)
    if one == two:
        message = f"{who} and {other} are the same contact already (contact:{one})"
        raise InputError(message)
    return one, two


def preview_unmerge(services: Services, who: str) -> dict[str, Any]:
    """Return what `unmerge` would give back, and the evidence of the merge. Raises NotFoundError, InputError."""
    with services.database.read() as connection:
        return report.merged(connection, _merged(connection, who))


def unmerge(services: Services, who: str, *, actor: str) -> dict[str, Any]:
    """Take a contact out of the one it was merged into; the evidence of the merge stays.

    who: `contact:N` of the merged one, or anybody of a family in which only one was merged.
    """

    def work(connection: Any) -> dict[str, Any]:
        now = services.clock.now()
        playbook = services.playbooks.active(connection).playbook
        contact = _merged(connection, who)
        parted = asdict(identity.unmerge(connection, contact, now=now, playbook=playbook))
        record(connection, at=now, actor=actor, action="contact.unmerge", detail=parted)
        return parted

    return services.database.run(work)


def _merged(connection: Any, who: str) -> int:
    """Return the merged contact that is meant."""
    person = resolve_who(connection, who)
    merged = [member for member in report.family(connection, person) if member != person]
    if who.startswith("contact:") and int(who.removeprefix("contact:")) in merged:
        return int(who.removeprefix("contact:"))
    if not merged:
        raise NotFoundError(
            f"{who} is contact:{person}, and nobody was merged into it; there is nothing to undo"
        )
    if len(merged) > 1:
        several = ", ".join(f"contact:{member}" for member in merged)
        raise InputError(f"{who} is contact:{person}, into which several were merged; name one: {several}")
    return merged[0]


def consent(
    services: Services,
    who: str,
    topic: str,
    state: Literal["granted", "withdrawn"],
    *,
    actor: str,
    evidence: str,
) -> dict[str, Any]:
    """Write down what a person said to ops about a topic, with the evidence."""

    def work(connection: Any) -> dict[str, Any]:
        now = services.clock.now()
        playbook = services.playbooks.active(connection).playbook
        if topic != "*" and topic not in playbook.topics:
            message = f"no topic {topic!r} in the playbook; it has {', '.join(sorted(playbook.topics))}"
            raise InputError(message)
        contact_id = resolve_who(connection, who)
        proof = {"actor": actor, "words": evidence}
        key = services.settings.suppression_secret
        if state == "granted":
            law.grant(
                connection,
                contact_id=contact_id,
                topic=topic,
                now=now,
                source="ops",
                evidence=proof,
                suppression_key=key,
            )
        else:
            named = None if topic == "*" else topic
            law.unsubscribe(
                connection,
                contact_id=contact_id,
                topic=named,
                now=now,
                source="ops",
                evidence=proof,
                suppression_key=key,
            )
        detail = {"contact": contact_id, "topic": topic, "state": state}
        record(connection, at=now, actor=actor, action="contact.consent", detail=detail)
        return detail

    return services.database.run(work)
