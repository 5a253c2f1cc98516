"""`why` and `next` agree with the life of made-up people under the whole shipped programme, past and present.

The expected answers are read from the ledger by statements of their own, and from audiences as SQL.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app import contacts
from nurture.app.audience import condition_sql
from nurture.database import schema as t
from nurture.database.engine import open_database
from nurture.domain.errors import ConditionError
from nurture.domain.instant import DAY, HOUR, Instant, to_iso
from nurture.domain.measure import Measure, OnEvent
from nurture.simulation.people import generate_inputs
from nurture.simulation.reactions import Reactions
from tests.rig import databases
from tests.scenarios.world import SECRET, World

SIZES = [pytest.param(12, id="few"), pytest.param(104, id="many", marks=pytest.mark.long)]
#: Statuses of a mail -> outcomes that `why` may give for it.
OUTCOMES = {
    "sent": {"sent"},
    "skipped": {"skipped", "holdout"},
    "cancelled": {"cancelled"},
    "expired": {"expired"},
    "waiting": {"waiting", "deferred", "holdout"},
}
AHEAD, DAYS = 16, 9


@pytest.fixture(scope="module", params=SIZES)
def life(
    request: pytest.FixtureRequest, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Give people who stand in the middle of things: half of their time is over."""
    with databases.sqlite_copy(sqlite_template, tmp_path_factory.mktemp("life")) as url:
        database = open_database(url, keeps=False)
        world = World(database)
        world.stage.react = Reactions(11, SECRET.encode(), world.services.playbooks)
        inputs = generate_inputs(request.param, start=world.now, days=2 * DAYS, seed=11)
        world.play(*inputs, until=world.now + DAYS * DAY)
        world.stage.react = None
        yield world
        database.close()


@dataclass(frozen=True)
class Pair:
    """A person and a measure, with what the ledger has of them up to an instant."""

    contact: int
    measure: Measure
    at: Instant
    # Statuses and reasons of the newest mail; and of the newest run.
    mail: tuple[str, str] | None
    run: tuple[str, str] | None


def pairs_of(life: World, at: Instant) -> Iterator[Pair]:
    """Give each person with each measure, as things stood at an instant."""
    m, r = t.messages.c, t.runs.c
    with life.services.database.read() as connection:
        mails = connection.execute(sa.select(t.messages).where(m.decided_at <= at).order_by(m.id)).all()
        runs = connection.execute(sa.select(t.runs).where(r.started_at <= at)).all()
        people = connection.scalars(
            sa.select(t.contacts.c.id).where(
                t.contacts.c.first_seen_at <= at, t.contacts.c.survivor.is_(None)
            )
        ).all()
    newest_mail: dict[tuple[int, str], Any] = {(row.contact_id, row.measure): row for row in mails}
    newest_run: dict[tuple[int, str], Any] = {}
    for row in sorted(runs, key=lambda row: (row.started_at, row.id)):
        newest_run[row.contact_id, row.measure] = row
    for contact in people:
        for measure in life.loaded.playbook.measures.values():
            mail, run = (rows.get((contact, measure.root)) for rows in (newest_mail, newest_run))
            yield Pair(contact, measure, at, _mail_at(mail, at), _run_at(run, at))


def _mail_at(row: Any, at: Instant) -> tuple[str, str] | None:
    if row is None:
        return None
    ended_at = row.sent_at if row.sent_at is not None else row.settled_at
    return (row.status, row.reason) if ended_at is not None and ended_at <= at else ("waiting", "")


def _run_at(row: Any, at: Instant) -> tuple[str, str] | None:
    if row is None:
        return None
    return (row.status, row.reason) if row.ended_at is not None and row.ended_at <= at else ("active", "")


def audience_matches(life: World, measure: Measure, contact: int) -> bool | None:
    """Return the answer of the audience as SQL; None where it cannot be asked so."""
    with life.services.database.read() as connection:
        try:
            answer = condition_sql(connection, measure.audience, life.loaded.playbook, life.now)
        except ConditionError:
            return None
        return bool(connection.scalar(sa.select(answer).where(t.contacts.c.id == contact)))


def check_pair(life: World, pair: Pair, *, is_past: bool) -> None:
    answer = contacts.why(
        life.services, f"contact:{pair.contact}", pair.measure.path, at=pair.at if is_past else None
    )
    outcome, sentence = answer["outcome"], answer["answer"]
    place = (pair, answer)
    if pair.mail is not None:
        status, reason = pair.mail
        assert outcome in OUTCOMES[status], place
        if reason and status != "sent" and outcome != "holdout":
            assert reason in sentence, place
        failed = [finding for finding in answer["findings"] if not finding["met"]]
        if status in ("skipped", "expired") and outcome != "holdout" and reason != "template_value":
            assert failed, place
    elif pair.run is not None:
        assert outcome == ("running" if pair.run[0] == "active" else "ended"), place
        assert pair.run[1] in sentence, place
    else:
        assert outcome == "never_entered", place
        check_never(life, pair, answer, is_past=is_past)


def check_never(life: World, pair: Pair, answer: dict[str, Any], *, is_past: bool) -> None:
    """The sentence names the first condition that is not met, and each part is as other readings have it."""
    findings = {finding["check"]: finding for finding in reversed(answer["findings"])}
    missed = [finding for finding in answer["findings"] if not finding["met"]]
    assert (missed[0]["value"] if missed else "every condition is met now") in answer["answer"], answer
    if is_past:
        return
    if (expected := audience_matches(life, pair.measure, pair.contact)) is not None:
        assert findings["audience"]["met"] is expected, answer
    if isinstance(pair.measure.trigger, OnEvent):
        e = t.events.c
        with life.services.database.read() as connection:
            came = connection.scalar(
                sa.select(sa.func.count()).where(
                    e.contact_id == pair.contact, e.name.in_(pair.measure.trigger.names)
                )
            )
        assert findings["trigger"]["met"] is bool(came), answer


def test_why_says_what_the_guard_and_the_rules_did(life: World) -> None:
    for pair in pairs_of(life, life.now):
        check_pair(life, pair, is_past=False)


def test_why_of_a_past_instant_knows_nothing_of_what_came_later(life: World) -> None:
    middle = life.now - 2 * DAY - 7 * HOUR
    pairs = [pair for pair in pairs_of(life, middle) if pair.mail is not None or pair.run is not None]
    assert len(pairs) > 8
    for pair in pairs:
        check_pair(life, pair, is_past=True)


def test_next_is_what_then_happens_when_no_event_comes(life: World) -> None:
    """Last of this file: it lets time go on. Mails that leave are compared with their instants."""
    c, m = t.contacts.c, t.messages.c
    with life.database.read() as connection:
        people = connection.scalars(sa.select(c.id).where(c.survivor.is_(None))).all()
        ended_before = set(connection.scalars(sa.select(m.id).where(m.status != "waiting")))
    expected = {
        person: [
            (row["at"] if row["outcome"] == "leaves" else "", row["measure"], row["step"], row["reason"])
            for row in contacts.next_mails(life.services, f"contact:{person}", days=AHEAD)
        ]
        for person in people
    }
    assert sum(len(mails) for mails in expected.values()) > 5
    assert any(at for mails in expected.values() for at, *_ in mails)
    life.live(AHEAD * DAY)
    names = {measure.root: measure.path for measure in life.loaded.playbook.measures.values()}
    with life.database.read() as connection:
        rows = connection.execute(sa.select(t.messages).where(m.status != "waiting")).all()
    came: dict[int, list[tuple[str, ...]]] = {person: [] for person in people}
    for row in rows:
        if row.id not in ended_before:
            at = "" if row.sent_at is None else to_iso(row.sent_at)
            came[row.contact_id].append((at, names[row.measure], row.step, row.reason))
    for person, mails in expected.items():
        assert sorted(came[person]) == sorted(mails), person
