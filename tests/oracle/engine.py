"""The engine's side of the comparison with the oracle: a playbook and a history in, every decided mail out.

`python -m tests.oracle.engine FOLDER HISTORY.json` prints one JSON line for each decided mail and, at the end, one with
the track, the stage and the facts of each person. Time moves in minutes, as the oracle's does.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from nurture.consent import record
from nurture.contacts.accept import NewEvent
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.domain.event import EventKind, Identity
from nurture.domain.instant import HOUR, MINUTE, Instant, parse_iso, to_iso
from nurture.playbook import build, load_files
from nurture.runtime.clock import ManualClock
from nurture.simulation.play import Input
from tests.rig import databases
from tests.scenarios.world import SECRET, World

History = Mapping[str, Any]
Result = dict[str, Any]


def play_engine(database: Database, folder: Path, history: History) -> tuple[list[Result], dict[str, Result]]:
    """Play the history on the database; return the decided mails, and the people by the name that mails go to."""
    start, until = parse_iso(history["start"]), parse_iso(history["until"])
    world = World(database, loaded=build(load_files(folder)), clock=ManualClock(start))
    world.stage.tick = MINUTE
    inputs = sorted(map(_input, history["events"]), key=lambda item: item.at)
    world.stage.play(iter(inputs), until)
    return _mails(database), _people(database)


def _input(entry: Mapping[str, Any]) -> Input:
    received = parse_iso(entry["received_at"])
    if entry["name"].startswith("$"):
        return Input(received, act=partial(_act, entry))
    event = NewEvent(
        source=_source(entry),
        message_id=entry["message_id"],
        kind=_kind(entry),
        name=entry["name"],
        occurred_at=min(parse_iso(entry.get("occurred_at", entry["received_at"])), received),
        received_at=received,
        historic=entry.get("historic", False),
        hint=entry.get("hint", False),
        identities=tuple(_identities(entry.get("who"))),
        properties=entry.get("properties", {}),
        traits=entry.get("traits", {}),
        context=entry.get("context", {}),
    )
    return Input(received, event)


def _act(entry: Mapping[str, Any], connection: sa.Connection, at: Instant) -> None:
    """Record a preference of a person, or that an address gets no mail any more."""
    i, values = t.identities.c, entry["properties"]
    statement = sa.select(i.contact_id).where(i.kind == "email", i.value == entry["who"])
    contact = connection.scalar(statement)
    if entry["name"] == "$suppress":
        record.suppress_address(
            connection,
            address=entry["who"],
            scope=values["scope"],
            reason="ops",
            now=at,
            source="ops",
            suppression_key=SECRET.encode(),
        )
    elif contact is not None:
        span = values["hours"] * HOUR
        value = at + span if values["kind"] == "pause" and span else span
        preferences = {values["kind"]: value}
        record.set_preferences(
            connection, contact_id=contact, values=preferences, now=at, source="web", evidence={}
        )


def _source(entry: Mapping[str, Any]) -> str:
    """Return the source; a confirmation comes as from a shop, whose consent is written with the event."""
    return "shop" if entry["name"] == "Topic Confirmed" else str(entry.get("source", "server"))


def _kind(entry: Mapping[str, Any]) -> EventKind:
    """Return the kind that the inbox gives such an event; one without a person is about an object."""
    if entry["name"] == "Identified":
        return "identify"
    kind: EventKind = entry.get("kind", "track")
    return kind


def _identities(who: Any) -> Iterator[Identity]:
    """Yield the identities: an address, `id:` and a user id, or both in a mapping."""
    if isinstance(who, Mapping):
        for kind in ("user_id", "email"):
            if who.get(kind):
                yield Identity(kind, who[kind])
    elif isinstance(who, str) and who.startswith("id:"):
        yield Identity("user_id", who.removeprefix("id:"))
    elif who:
        yield Identity("email", who)


def _names(database: Database) -> dict[int, str]:
    """Return contact -> the address of the person that it belongs to, else `id:` and the user id."""
    c, i = t.contacts.c, t.identities.c
    with database.read() as connection:
        contacts = connection.execute(sa.select(c.id, c.survivor, c.email)).all()
        ids = connection.execute(sa.select(i.contact_id, i.value).where(i.kind == "user_id")).all()
    user_ids = {row.contact_id: f"id:{row.value}" for row in ids}
    own = {row.id: row.email or user_ids.get(row.id, f"contact:{row.id}") for row in contacts}
    survivors = {row.id: row.survivor for row in contacts}
    return {contact: own[_last(contact, survivors)] for contact in own}


def _last(contact: int, survivors: Mapping[int, int | None]) -> int:
    following = survivors[contact]
    return contact if following is None else _last(following, survivors)


def _mails(database: Database) -> list[Result]:
    m, names = t.messages.c, _names(database)
    columns = (
        m.contact_id,
        m.measure,
        m.step,
        m.status,
        m.reason,
        m.sent_at,
        m.settled_at,
        m.due_at,
        m.holdout,
    )
    with database.read() as connection:
        rows = connection.execute(sa.select(*columns).order_by(m.id)).all()
    return [
        {
            "who": names[row.contact_id],
            "measure": row.measure,
            "step": row.step,
            "status": row.status,
            "reason": row.reason,
            "in_holdout": bool(row.holdout),
            "at": to_iso(row.sent_at or row.settled_at or row.due_at),
        }
        for row in rows
    ]


def _people(database: Database) -> dict[str, Result]:
    c, names = t.contacts.c, _names(database)
    with database.read() as connection:
        rows = connection.execute(sa.select(c.id, c.track, c.stage, c.facts).where(c.survivor.is_(None)))
        return {
            names[row.id]: {"track": row.track, "stage": row.stage, "facts": dict(row.facts)} for row in rows
        }


def main(folder: str, history: str) -> None:
    """Play a history on a private SQLite database and print the result."""
    with TemporaryDirectory() as private:
        url = f"sqlite:///{databases.sqlite_template(Path(private))}"
        with databases.opened(url) as database:
            mails, people = play_engine(database, Path(folder), json.loads(Path(history).read_text("utf-8")))
    for line in (*mails, {"people": people}):
        sys.stdout.write(f"{json.dumps(line)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
