"""The doctor finds what breaks an invariant: each is broken by hand, in a house where all was well, and named."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app.doctor import examine
from nurture.app.invariants import CHECKS, CheckContext
from nurture.consent import record
from nurture.database import schema as t
from nurture.domain.instant import DAY, HOUR, MINUTE
from tests.faults.installation import NOON, Installation, opened, people

#: Breaks something; returns what the finding must speak of.
Break = Callable[[sa.Connection, Any], str]


@pytest.fixture
def installation(installation_url: str, tmp_path: Path) -> Iterator[Installation]:
    """Give an installation in which people have bought and been written to, and all is well."""
    with opened(tmp_path, installation_url) as installation:
        installation.hand_in_all(people(120))
        installation.work_here()
        yield installation


def found_by(installation: Installation) -> dict[str, str]:
    """Return check -> what it found, of those that found something."""
    return {check["check"]: check["detail"] for check in examine(installation.services) if not check["ok"]}


def _of(connection: sa.Connection, **where: object) -> Any:
    """Return a mail that was sent."""
    m = t.messages.c
    statement = sa.select(t.messages).where(
        m.status == "sent", *(m[name] == value for name, value in where.items())
    )
    return connection.execute(statement.order_by(m.id).limit(1)).one()


def _change(connection: sa.Connection, message: Any, **values: object) -> str:
    connection.execute(sa.update(t.messages).where(t.messages.c.id == message.id).values(**values))
    return f"message {message.id}"


def _lose_a_mail(connection: sa.Connection, _: Installation) -> str:
    message = _of(connection)
    connection.execute(sa.delete(t.messages).where(t.messages.c.id == message.id))
    return str(message.measure)


def _cross_tracks(connection: sa.Connection, _: Installation) -> str:
    message = _of(connection, measure="lead/any/appointment")
    values = {"track": "customer", "measure": "customer/any/appointment"}
    return _change(connection, message, **values)


def _keep_a_run(connection: sa.Connection, _: Installation) -> str:
    r = t.runs.c
    run = connection.execute(sa.select(r.id).where(r.track == "lead").limit(1)).scalar_one()
    owner = sa.select(r.contact_id).where(r.id == run).scalar_subquery()
    connection.execute(sa.update(t.runs).where(r.id == run).values(status="active"))
    connection.execute(sa.update(t.contacts).where(t.contacts.c.id == owner).values(track="customer"))
    return f"run {run} "


def _swap_events(connection: sa.Connection, _: Installation) -> str:
    e = t.events.c
    person = sa.select(e.contact_id).group_by(e.contact_id).having(sa.func.count() > 2).limit(1)
    rows = connection.execute(
        sa.select(e.id).where(e.contact_id == person.scalar_subquery()).order_by(e.id)
    ).scalars()
    first = next(iter(rows))
    connection.execute(sa.update(t.events).where(e.id == first).values(received_at=NOON + HOUR))
    return " was applied after later ones"


def _set_aside_too(connection: sa.Connection, _: Installation) -> str:
    event = connection.execute(sa.select(t.events).limit(1)).one()
    row = {"source": event.source, "message_id": event.message_id, "received_at": event.received_at}
    connection.execute(sa.insert(t.quarantine).values(**row, stage="rule", reason="x", raw="{}"))
    return f"event {event.id} "


def _overtake(connection: sa.Connection, _: Installation) -> str:
    message = _of(connection)
    values = {"decided_at": message.decided_at + 1, "sent_at": message.sent_at - HOUR}
    _again(connection, message, run_key=message.run_key, step="later", **values)
    return f"before message {message.id}"


def _send_twice(connection: sa.Connection, _: Installation) -> str:
    message = _of(connection, purpose="sales")
    given = {"message_id": message.id, "at": NOON, "outcome": "sent", "stage": "replied"}
    connection.execute(
        sa.insert(t.attempts).values(**given, attempt=2, code="250", reply="", worker="another")
    )
    return f"message {message.id} "


def _send_after_withdrawal(connection: sa.Connection, installation: Installation) -> str:
    message = _of(connection, purpose="sales")
    _withdraw(connection, installation, message, topic=message.topic)
    return _change(connection, message, sent_at=NOON + HOUR)


def _send_after_suppression(connection: sa.Connection, installation: Installation) -> str:
    message = _of(connection, purpose="sales")
    _withdraw(connection, installation, message, topic=None)
    return _change(connection, message, sent_at=NOON + HOUR)


def _withdraw(
    connection: sa.Connection, installation: Installation, message: Any, *, topic: str | None
) -> None:
    key = installation.services.settings.suppression_secret
    given: dict[str, Any] = {"source": "test", "evidence": {}, "suppression_key": key}
    record.unsubscribe(connection, contact_id=message.contact_id, topic=topic, now=NOON, **given)


def _exceed_a_cap(connection: sa.Connection, _: Installation) -> str:
    message = _of(connection, purpose="sales")
    _again(connection, message, sent_at=message.sent_at + 13 * DAY)
    return "1 of 1 of cap sales"


def _narrow_a_gap(connection: sa.Connection, _: Installation) -> str:
    message = _of(connection, purpose="sales")
    _change(connection, message, purpose="nurture")
    _again(connection, message, purpose="nurture", sent_at=message.sent_at + HOUR)
    return "inside the gap of cap nurture"


def _again(connection: sa.Connection, message: Any, **values: object) -> None:
    """Put another mail like this one into the ledger, of a run of its own."""
    row = {**message._mapping, "run_key": "again", **values}
    del row["id"]
    connection.execute(sa.insert(t.messages).values(**row))


def _orphan(connection: sa.Connection, _: Installation) -> str:
    message = _of(connection)
    connection.execute(sa.delete(t.contacts).where(t.contacts.c.id == message.contact_id))
    return "of messages belong to no contact"


def _forget_work(connection: sa.Connection, _: Installation) -> str:
    message = _of(connection)
    _change(connection, message, status="on_wire", settled_at=None, lease_until=NOON - 6 * MINUTE)
    return "leases: the oldest is 6 minutes overdue"


def _forget_a_doubt(connection: sa.Connection, _: Installation) -> str:
    message = _of(connection, purpose="transactional")
    _change(connection, message, status="in_doubt", settled_at=None, due_at=NOON - 6 * MINUTE)
    return "doubts: the oldest is 6 minutes overdue"


def _forget_an_event(connection: sa.Connection, _: Installation) -> str:
    row = {
        "shard": 0,
        "source": "s",
        "message_id": "m",
        "kind": "track",
        "name": "X",
        "occurred_at": 0,
        "body": "{}",
    }
    connection.execute(sa.insert(t.inbox).values(**row, received_at=NOON - 20 * MINUTE))
    return "inbox: the oldest is 20 minutes overdue"


def _set_aside(connection: sa.Connection, _: Installation) -> str:
    row = {
        "source": "s",
        "message_id": "unheard",
        "received_at": NOON,
        "stage": "crash",
        "reason": "x",
        "raw": "{}",
    }
    connection.execute(sa.insert(t.quarantine).values(**row))
    return "1 events in quarantine (crash)"


def _rewrite_the_log(connection: sa.Connection, _: Installation) -> str:
    connection.execute(sa.update(t.audit).values(actor="somebody else"))
    return "audit row 1 "


def _change_a_fact(connection: sa.Connection, _: Installation) -> str:
    message = _of(connection)
    c = t.contacts.c
    facts = connection.execute(sa.select(c.facts).where(c.id == message.contact_id)).scalar_one()
    changed = {**facts, "orders": (facts.get("orders") or 0) + 1}
    connection.execute(sa.update(t.contacts).where(c.id == message.contact_id).values(facts=changed))
    return "orders: stored"


def _forget_an_entry(connection: sa.Connection, _: Installation) -> str:
    e = t.enrolments.c
    entry = connection.execute(sa.select(e.experiment, e.contact_id).limit(1)).one()
    mine = e.contact_id == entry.contact_id, e.experiment == entry.experiment
    connection.execute(sa.delete(t.enrolments).where(*mine))
    return "1 people began and have not entered"


def _enter_nobody(connection: sa.Connection, _: Installation) -> str:
    row = connection.execute(sa.select(t.enrolments).limit(1)).one()
    unused = sa.select(t.experiments.c.id).where(t.experiments.c.measure == "customer/any/birthday")
    number = connection.execute(unused).scalar_one()
    values = {**row._mapping, "experiment": number}
    connection.execute(sa.insert(t.enrolments).values(**values))
    return "customer/any/birthday: 1 people entered and never began"


def _count_twice(connection: sa.Connection, _: Installation) -> str:
    o = t.outcomes.c
    row = connection.execute(sa.select(t.outcomes).where(o.name == "order").limit(1)).one()
    connection.execute(sa.insert(t.outcomes).values(**{**row._mapping, "at": row.at + 1}))
    return f"order {row.entity_key} counts 2 times"


def _take_back_too_much(connection: sa.Connection, _: Installation) -> str:
    o = t.outcomes.c
    row = connection.execute(sa.select(t.outcomes).where(o.name == "order").limit(1)).one()
    values = {"kind": "adjusted", "number": 0, "value_minor": -row.value_minor - 1}
    connection.execute(sa.insert(t.outcomes).values(**{**row._mapping, **values}))
    return "or its amounts do not add up"


def _count_no_change(connection: sa.Connection, _: Installation) -> str:
    message = _of(connection)
    _change(connection, message, status="failed", reason="refused")
    return f"{message.measure} {message.step} failed refused: 1 more in the ledger than in the day table"


def _count_a_change_twice(connection: sa.Connection, _: Installation) -> str:
    row = connection.execute(sa.select(t.mail_changes).where(t.mail_changes.c.status == "sent")).first()
    assert row is not None
    values = {**row._mapping, "id": None, "n": 1}
    del values["id"]
    connection.execute(sa.insert(t.mail_changes).values(**values))
    return f"{row.measure} {row.step} sent: 1 fewer in the ledger than in the day table"


def _count_on_another_day(connection: sa.Connection, _: Installation) -> str:
    message = _of(connection)
    _change(connection, message, status="skipped", reason="cap")
    names = ("measure", "step", "track", "asked_for")
    kind = {**{name: message._mapping[name] for name in names}, "variant": message.variant or ""}
    kind["slot"] = message.settled_at - message.settled_at % HOUR - 2 * DAY
    changes = [{"status": "sent", "reason": "", "n": -1}, {"status": "skipped", "reason": "cap", "n": 1}]
    connection.execute(sa.insert(t.mail_changes), [{**kind, **change} for change in changes])
    return f"{message.measure}: 1 skipped on "


def _move_a_person(connection: sa.Connection, _: Installation) -> str:
    c = t.contacts.c
    person = connection.execute(sa.select(t.contacts).where(c.stage == "aware")).first()
    assert person is not None
    connection.execute(sa.update(t.contacts).where(c.id == person.id).values(stage="engage"))
    return f"{person.track} aware: 1 fewer people than in the day table"


BROKEN: list[tuple[str, Break]] = [
    ("day table", _count_no_change),
    ("day table", _count_a_change_twice),
    ("day table", _count_on_another_day),
    ("day table", _move_a_person),
    ("enrolments", _forget_an_entry),
    ("enrolments", _enter_nobody),
    ("outcomes", _count_twice),
    ("outcomes", _take_back_too_much),
    ("conservation", _lose_a_mail),
    ("track law", _cross_tracks),
    ("runs of one track", _keep_a_run),
    ("order of events", _swap_events),
    ("applied or set aside", _set_aside_too),
    ("order of steps", _overtake),
    ("once on the wire", _send_twice),
    ("withdrawn consent", _send_after_withdrawal),
    ("suppressed address", _send_after_suppression),
    ("caps", _exceed_a_cap),
    ("caps", _narrow_a_gap),
    ("orphans", _orphan),
    ("overdue work", _forget_work),
    ("overdue work", _forget_a_doubt),
    ("overdue work", _forget_an_event),
    ("quarantine", _set_aside),
    ("audit log", _rewrite_the_log),
]


def asked(installation: Installation, connection: sa.Connection, check: str) -> str:
    """Return what one check finds inside a transaction that is not over."""
    loaded = installation.services.playbooks.active(connection)
    look = CheckContext(
        loaded.playbook, loaded.id, installation.now, installation.services.settings.suppression_secret
    )
    return "; ".join(CHECKS[check](connection, look))


def test_all_is_well_and_each_broken_invariant_is_named(installation: Installation) -> None:
    assert found_by(installation) == {}
    missed = []
    for check, broken in BROKEN:
        with installation.database.writer.connect() as connection:
            words = broken(connection, installation)
            detail = asked(installation, connection, check)
            # The next one is broken where all is well.
            connection.rollback()
        if words not in detail:
            missed.append(f"{broken.__name__}: {check} says {detail!r}, not {words!r}")
    assert missed == []
    assert found_by(installation) == {}
    # The replay reads for itself what is committed.
    installation.database.run(lambda connection: _change_a_fact(connection, installation))
    assert list(found_by(installation)) == ["replay"]


def test_every_check_is_broken_once() -> None:
    assert {check for check, _ in BROKEN} == set(CHECKS)
