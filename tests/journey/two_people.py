"""Two people with rows in every table that names a person, for the histories of `test_merges_and_erasures`.

Ada (`u1 e1`) is a customer with an account, Old (`e2 p2 a2`) the guest whom an operator merges into her.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import sqlalchemy as sa

from nurture.app.personal_export import collect_personal_data
from nurture.consent import from_requests, record
from nurture.consent.from_pages import PageContact
from nurture.consent.load_permissions import load_permissions
from nurture.consent.subjects import find_subject
from nurture.contacts.value_queries import ContactValue, load_contact_values, save_contact_values
from nurture.database import schema as t
from nurture.database.engine import Database, encode
from nurture.delivery.verdicts import decode_verdict
from nurture.domain.consent.permissions import ConsentState
from nurture.domain.event import BY_MODEL, VALUE_PUBLISHED, Identity
from nurture.domain.feedback import Report
from nurture.domain.instant import DAY, HOUR
from nurture.domain.measure import LocalSlot, MailStep, OnEvent, WaitFor, WaitUntilSlot
from nurture.domain.playbook import AccountRules, BandFact, EventMatch, Milestone, PublishedValue, Topic
from nurture.domain.retention import KINDS
from nurture.feedback.cases import CLOSED, case_name
from nurture.feedback.record import record as record_reports
from nurture.feedback.replies import check_cases
from nurture.journey import erasure, merge, personal_data
from nurture.journey.personal_data import PERSONAL
from nurture.journey.retention import retain
from tests.delivery.world import SUPPRESSION_KEY
from tests.delivery.world import World as Mails
from tests.domain.build import a_measure, a_playbook
from tests.journey.builders import NOW, World, an_event
from tests.rig import databases

Rows = dict[str, list[dict[str, Any]]]
Cell = Callable[["History"], None]

OFFER: Final = "customer/any/offer"
CARE: Final = "any/any/care"
BROKEN: Final = "any/any/broken"
NEWS: Final = "any/any/news"
#: The rule that looks for this slot fails.
NEVER_COMES: Final = LocalSlot(9 * 60, weekdays=frozenset())
BANDS: Final = (("low", 0), ("high", 500_000))
TOLD: Final = EventMatch((VALUE_PUBLISHED,))
PLAYBOOK: Final = a_playbook(
    a_measure(OFFER, purpose="sales", topic="offers", lane="offers", steps=(MailStep("offer", "offer"),)),
    a_measure(
        CARE,
        trigger=OnEvent(("Care Asked",)),
        steps=(WaitFor("pause", 2 * DAY), MailStep("care", "care")),
    ),
    a_measure(BROKEN, trigger=OnEvent(("Care Asked",)), steps=(WaitUntilSlot("wait", NEVER_COMES),)),
    a_measure(NEWS, steps=(MailStep("offer", "offer"),)),
    topics={"offers": Topic("offers", double_opt_in=False), "news": Topic("news", double_opt_in=False)},
    milestones=(
        *a_playbook().milestones,
        Milestone("met", EventMatch(("Team Met",)), "contact", None, ()),
    ),
    facts={**a_playbook().facts, "risk": BandFact("risk", "band", "text", (TOLD,), bands=BANDS)},
    values={"risk": PublishedValue("risk", "contact", BANDS)},
    accounts=AccountRules("company", joined_by=(EventMatch(("Grouped",)),), milestones=frozenset({"met"})),
)
#: Everything received before is removed: what it made stands in a baseline.
KEPT_FROM: Final = NOW - 300 * DAY
#: Tables that are not found by a contact: texts of operators, and keyed hashes of addresses.
BY_TEXT: Final = ("inbox", "shop_things", "suppressions", "approvals", "sends", "switches", "pauses")


@dataclass
class History:
    """The two people, what was stored of them before the change, and what the change gave back."""

    world: World
    mails: Mails
    ada: int
    old: int
    # Person -> a sent mail of theirs.
    sent: dict[int, int] = field(default_factory=dict)
    # Contact -> table -> its rows.
    before: dict[int, Rows] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    exports: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        return self.world.database

    def look(self, *contacts: int) -> None:
        """Remember the rows of these contacts, and those that are found by a text."""
        self.before |= {contact: self.rows(contact) for contact in contacts}
        self.given["texts"] = self.texts()

    def rows(self, contact: int) -> Rows:
        """Return the rows that name the contact, by table."""
        found = {name: kind for name, kind in PERSONAL.items() if kind.found_by in ("contact", "message")}
        with self.database.read() as connection:
            return {
                name: personal_data.rows_of(connection, t.metadata.tables[name], [contact]) for name in found
            }

    def texts(self) -> Rows:
        """Return all rows of the tables that are found by a text."""
        return {name: [row._asdict() for row in self.world.rows(t.metadata.tables[name])] for name in BY_TEXT}

    def export(self, contact: int) -> dict[str, Any]:
        """Return what a person gets who asks for their data; collected once."""
        if contact not in self.exports:
            with self.database.read() as connection:
                self.exports[contact] = collect_personal_data(
                    connection, contact, suppression_key=SUPPRESSION_KEY, now=self.world.clock.now()
                )
        return self.exports[contact]

    def refusals(self, contact: int) -> set[str]:
        """Return every check of the guard that stops a sales mail to the contact now."""
        now = self.world.clock.now()
        number = self.mails.mail(
            contact, OFFER, run_key=f"asked:{contact}:{now}", due_at=now, valid_until=now + DAY
        )
        self.mails.claim("offers")
        row = self.mails.message(number)
        with self.database.write() as connection:
            connection.execute(sa.delete(t.messages).where(t.messages.c.id == number))
            connection.execute(sa.delete(t.runs).where(t.runs.c.key == row.run_key))
        return {check["name"] for check in decode_verdict(row.verdict)["checks"] if not check["passed"]}


def begin(database: Database) -> History:
    """Let both live a while, until each has a row in every table."""
    world = World(database, PLAYBOOK)
    mails = Mails(database, PLAYBOOK, world.clock)
    world.take(order("o0", "e2", received_at=NOW - 350 * DAY, occurred_at=NOW - 350 * DAY))
    keep = dict.fromkeys(KINDS, 10_000 * DAY) | {"events": NOW - KEPT_FROM}
    database.run(lambda connection: retain(connection, now=NOW, keep=keep, playbook=PLAYBOOK))
    for who, suffix, at in (("u1 e1", "ada", NOW - 10 * DAY), ("e2 p2 a2", "old", NOW - 20 * DAY)):
        name = who.split()[0]
        world.take(
            an_event(f"{suffix}-1", who, kind="identify", name="Identified", occurred_at=at),
            order(suffix, name, occurred_at=at + HOUR),
            an_event(f"{suffix}-3", name, name="Care Asked", occurred_at=NOW - HOUR),
            joined(suffix, name, occurred_at=at + 3 * HOUR),
            of_firm(f"{suffix}-6", name, "Grouped", f"{suffix}'s", occurred_at=at + HOUR),
            risk(name, *((1, "0.1") if suffix == "ada" else (2, "0.7"))),
            of_firm(f"{suffix}-7", name, "Team Met", f"{suffix}'s", occurred_at=at + 2 * HOUR),
        )
    history = History(world, mails, world.who("u1"), world.who("e2"))
    # One telephone number that both gave, and an event that a browser may not tell.
    world.take(an_event("tie", "u1 p2"))
    refund = an_event("refund", "e2", name="Order Cancelled", hint=True, properties={"order_id": "old"})
    world.take(refund)
    for contact in (history.ada, history.old):
        plant(history, contact)
    return history


def order(number: str, who: str, **given: Any) -> Any:
    properties = {"order_id": number, "revenue": 5}
    return an_event(f"order-{number}", who, name="Order Completed", properties=properties, **given)


def joined(key: str, who: str, **given: Any) -> Any:
    return an_event(f"joined-{key}", who, name="Waitlist Joined", properties={"product_id": key}, **given)


def of_firm(number: str, who: str, name: str, firm: str, **given: Any) -> Any:
    return an_event(number, who, name=name, properties={"company": firm}, **given)


def risk(who: str, version: int, number: str) -> Any:
    """Return the event that tells a person their published number."""
    properties = {"name": "risk", "value": number, "version": version}
    return an_event(
        f"risk:{version}:{who}",
        who,
        name=VALUE_PUBLISHED,
        source=BY_MODEL,
        occurred_at=NOW - (3 - version) * HOUR,
        properties=properties,
    )


def plant(history: History, contact: int) -> None:
    """Store what pages, operators and servers leave of a contact."""
    address = "e1@example.com" if contact == history.ada else "e2@example.com"
    message = history.mails.mail(
        contact, OFFER, run_key="last", status="sent", sent_at=NOW - 40 * DAY, settled_at=NOW - 40 * DAY
    )
    history.sent[contact] = message
    # Both are about to get the same mail.
    history.mails.mail(contact, NEWS, run_key="same", due_at=NOW + 50 * DAY)
    with history.database.write() as connection:
        for table, row in _planted(contact, message, address):
            connection.execute(sa.insert(table).values(row))
        version, number = (1, 100_000) if contact == history.ada else (2, 700_000)
        save_contact_values(connection, {(contact, "risk"): ContactValue(version, number, version, number)})
        for topic, state in (("offers", "granted"), ("news", "granted")):
            add_consent(connection, contact, topic, state)
    if contact == history.old:
        with history.database.write() as connection:
            add_consent(connection, contact, "news", "withdrawn", at=NOW - HOUR)
            record.set_preferences(
                connection,
                contact_id=contact,
                values={"often": 7 * DAY},
                now=NOW - DAY,
                source="web",
                evidence={},
            )
        complain(history, message, "complaint")


def add_consent(connection: sa.Connection, contact: int, topic: str, state: str, at: int = NOW - DAY) -> None:
    row = {
        "contact_id": contact,
        "topic": topic,
        "state": state,
        "at": at,
        "source": "web",
        "evidence": '{"page": "p"}',
    }
    connection.execute(sa.insert(t.consents).values(row))


def complain(history: History, message: int, kind: Any, **given: Any) -> None:
    """Report something about a mail; the timeline is not looked at here."""
    report = Report("postmark", f"{kind} {message}", kind, NOW - DAY, message=message, **given)
    with history.database.write() as connection:
        record_reports(connection, [report], now=history.world.clock.now(), suppression_key=SUPPRESSION_KEY)
        connection.execute(sa.delete(t.inbox))


def _planted(contact: int, message: int, address: str) -> list[tuple[sa.Table, dict[str, Any]]]:
    report = {"provider": "ses", "kind": "delivered", "at": NOW, "received_at": NOW, "raw": address}
    asked = {"asked_at": NOW - HOUR, "valid_until": NOW + 30 * DAY}
    return [
        (t.quarantine, {"source": "test", "received_at": NOW, "stage": "rule", "reason": "?", "raw": address,
                        "contact_id": contact}),
        (t.shop_things, {"source": "shopify", "thing": f"order:{contact}", "email": address, "state": "{}",
                         "changed_at": NOW}),
        (t.transitions, {"contact_id": contact, "kind": "stage", "before": "aware", "after": "aware",
                         "at": NOW, "noticed_at": NOW, "evidence": address}),
        (t.non_entries, {"contact_id": contact, "measure": "any/any/x", "at": NOW, "reason": "cap",
                         "detail": address}),
        (t.attempts, {"message_id": message, "attempt": 1, "at": NOW, "outcome": "sent", "stage": "replied",
                      "code": "250", "reply": address, "worker": "w"}),
        (t.coupons, {"code": f"C{contact}", "offer": "o", "contact_id": contact, "measure": OFFER,
                     "run_key": "last", "minted_at": NOW}),
        (t.actions, {"contact_id": contact, "measure": OFFER, "run_key": "last", "step": "tell", "kind": "emit",
                     "status": "waiting", "decided_at": NOW, "data": encode({"event": address})}),
        (t.enrolments, {"experiment": 1, "contact_id": contact, "arm": 1, "entered_at": NOW, "matures_at": NOW + DAY,
                        "segment": "excite", "stratum": "ann"}),
        (t.exposures, {"experiment": 1, "contact_id": contact, "at": NOW}),
        (t.outcomes, {"contact_id": contact, "name": "visit", "entity_key": address, "kind": "counted", "at": NOW,
                      "number": 1, "value_minor": 0}),
        (t.feedback, {**report, "event_id": f"f{contact}", "message_id": message, "address": address}),
        (t.shown_objects, {"message_id": message, "kind": "piece", "key": "first"}),
        (t.touches, {"message_id": message, "kind": "look", "link": "", "at": NOW, "agent": "browser"}),
        (t.requests, {"contact_id": contact, "act": "address", "address": f"new{address}", **asked}),
        (t.dialogues, {"contact_id": contact, "message_id": message, "owner": "support", "opened_at": NOW,
                       "due_at": NOW + HOUR, "closed_at": None}),
        (t.hook_posts, {"event_id": contact, "contact_id": contact, "name": "Order Completed", "target": "crm",
                        "created_at": NOW, "due_at": NOW}),
        (t.notices, {"kind": "reply", "contact_id": contact, "sender": "a", "recipient": "b", "due_at": NOW,
                     "data": address}),
        (t.sends, {"request": f"r{contact}", "measure": OFFER, "audience": f"email == '{address}'", "at": NOW,
                   "actor": "ops", "people": 1, "cursor": 0, "done": True}),
        (t.send_recipients, {"request": f"r{contact}", "contact_id": contact}),
        (t.approvals, {"request": f"r{contact}", "measure": OFFER, "audience": f"email == '{address}'",
                       "people": 1, "actor": "ops", "at": NOW, "until": NOW, "state": "waiting"}),
        (t.pauses, {"name": f"lane{contact}", "mode": "all", "since": NOW, "reason": f"550 {address}", "actor": "ops"}),
        (t.switches, {"name": f"lane{contact}", "paused": False, "reason": f"550 {address}", "actor": "ops",
                      "at": NOW}),
    ]  # fmt: skip


# ---- what many cells have in common ----------------------------------------------------------------------


def kept(history: History, table: str) -> None:
    """Every row of before is there as it was, under the contact that it was written for."""
    for contact, rows in history.before.items():
        now = history.rows(contact)[table]
        assert rows[table], "a table that the history does not reach proves nothing"
        assert [row for row in rows[table] if row not in now] == []


def kept_and_shown(history: History, table: str) -> None:
    """Besides, the person who asks for their data gets the rows of both."""
    kept(history, table)
    shown = history.export(history.ada)[table]
    assert len(shown) >= sum(len(rows[table]) for rows in history.before.values())


def kept_apart(history: History, table: str) -> None:
    """Every row of before is there, and each person who asks for their data gets their own alone."""
    kept(history, table)
    shown = history.export(history.ada)[table]
    assert len(shown) == len(history.rows(history.ada)[table])


def text_kept(history: History, table: str) -> None:
    """Every row that names the person in a text is as it was."""
    rows = history.given["texts"][table]
    assert rows
    assert history.texts()[table] == rows


def cell(check: Callable[[History, str], None], table: str) -> Cell:
    return lambda history: check(history, table)


def kept_in(*tables: str, check: Callable[[History, str], None]) -> dict[str, Cell]:
    return {table: cell(check, table) for table in tables}


@contextmanager
def opened(template: Path, folder: Path) -> Iterator[Database]:
    """Give a database that lives as long as the tests of one history."""
    with databases.sqlite_copy(template, folder) as url, databases.opened(url) as database:
        yield database


Made = Callable[[Callable[[Database], History]], History]


def names_of(history: History, contact: int) -> dict[str, int | None]:
    """Return value -> the contact that it was learnt for, of a contact's names."""
    rows = history.world.rows(t.identities, contact_id=contact)
    return {row.value.partition("@")[0]: row.learnt_for for row in rows}


def email(history: History, contact: int) -> str | None:
    (row,) = history.world.rows(t.contacts, id=contact)
    return str(row.email).partition("@")[0] if row.email else None


def orders(history: History, who: str) -> int:
    return int(history.world.contact(who).facts["orders"])


def consents(history: History, contact: int) -> dict[str, ConsentState]:
    with history.database.read() as connection:
        return dict(load_permissions(connection, [contact])[contact].consents)


def min_gap(history: History, contact: int) -> int:
    with history.database.read() as connection:
        return load_permissions(connection, [contact])[contact].preferences.min_gap


def suppressed(history: History, who: str) -> set[str]:
    with history.database.read() as connection:
        subject = find_subject(connection, who, suppression_key=SUPPRESSION_KEY)
        return {row.reason for row in subject.load_holding(connection)}


def watched(history: History, contact: int) -> dict[str, int]:
    return {row.key: row.since for row in history.world.rows(t.watches, contact_id=contact)}


def value_of(history: History, contact: int) -> tuple[int, int | None]:
    with history.database.read() as connection:
        known = load_contact_values(connection, [contact], ["risk"])[contact, "risk"]
    return known.version, known.number


def merge_values(history: History) -> None:
    kept_and_shown(history, "contact_values")
    assert value_of(history, history.ada) == (2, 700_000), "the newer number of the two"
    assert history.world.contact("u1").facts["risk"] == "high"


def unmerge_values(history: History) -> None:
    kept_apart(history, "contact_values")
    assert (value_of(history, history.ada), value_of(history, history.old)) == ((1, 100_000), (2, 700_000))
    assert [history.world.contact(who).facts["risk"] for who in ("u1", "e2")] == ["low", "high"]


def firm_of(history: History, contact: int) -> str | None:
    rows = history.world.rows(t.account_members, contact_id=contact)
    return str(rows[0].account) if rows else None


def runs_of(history: History, measure: str) -> dict[int, tuple[str, str]]:
    return {row.contact_id: (row.status, row.reason) for row in history.world.rows(t.runs, measure=measure)}


def same_mail(history: History) -> dict[int, tuple[str, str]]:
    rows = history.world.rows(t.messages, measure=NEWS, run_key="same")
    return {row.contact_id: (row.status, row.reason) for row in rows}


def page_of(history: History, contact: int) -> PageContact:
    (row,) = history.world.rows(t.contacts, id=contact)
    return PageContact(contact, row.email, None, {})


def requests_of(history: History, contact: int) -> list[str]:
    """Return the addresses of the requests that a page finds for the person."""
    found = []
    for row in history.world.rows(t.requests):
        with history.database.read() as connection:
            if from_requests.find_request(connection, page_of(history, contact), row.id):
                found.append(row.address)
    return found


def join(history: History, one: int, two: int) -> None:
    with history.database.write() as connection:
        merge.merge(
            connection, one, two, now=history.world.clock.now(), playbook=PLAYBOOK, evidence={"actor": "ann"}
        )


def part(history: History, contact: int) -> None:
    with history.database.write() as connection:
        merge.unmerge(connection, contact, now=history.world.clock.now(), playbook=PLAYBOOK)


def erase(history: History, contact: int) -> None:
    now = history.world.clock.now()
    with history.database.write() as connection:
        erasure.stop_mail(connection, contact, now=now, actor="self", suppression_key=SUPPRESSION_KEY)
    while history.database.run(lambda connection: erasure.delete_remaining_rows(connection, contact)):
        pass
    history.database.run(lambda connection: erasure.mark_finished(connection, contact, now=now))


def close_cases(history: History, contact: int) -> list[int]:
    """Tell under a name of the contact that its cases are closed; return the numbers of those that stay open."""
    case_ids = [row.id for row in history.world.rows(t.dialogues) if row.contact_id in history.before]
    rows = history.world.rows(t.identities, contact_id=contact)
    name = Identity(rows[0].kind, rows[0].value)
    for number in case_ids:
        event = an_event(f"closed-{number}-{contact}", name=CLOSED, properties={"case_id": case_name(number)})
        history.world.take(replace(event, identities=(name,)))
    nobody: Any = SimpleNamespace(escalate_to="")
    history.database.run(lambda connection: check_cases(connection, nobody, now=NOW))
    return [row.id for row in history.world.rows(t.dialogues) if row.closed_at is None]


def untouched_of(history: History, contact: int, table: str) -> None:
    assert history.rows(contact)[table] == history.before[contact][table] != []
