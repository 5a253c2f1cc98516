"""Two histories for `test_merges_and_erasures`: late events, and changes of address; a check for each table."""

import pytest

from nurture.consent import from_requests, record, request_queries
from nurture.contacts.locking import LostRace
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery.send_gate import SendGate
from nurture.domain.instant import DAY
from tests.delivery.world import SUPPRESSION_KEY, Post
from tests.journey.builders import NOW, an_event
from tests.journey.two_people import (
    CARE,
    KEPT_FROM,
    NEWS,
    Cell,
    History,
    begin,
    cell,
    close_cases,
    complain,
    consents,
    email,
    erase,
    firm_of,
    join,
    joined,
    kept_in,
    names_of,
    of_firm,
    order,
    orders,
    page_of,
    same_mail,
    suppressed,
    text_kept,
    untouched_of,
    watched,
)

# ---- late event ------------------------------------------------------------------------------------------


def live_late(database: Database) -> History:
    """Events of before a merge, an erasure and a change of address come after it.

    Eve (`u5 e5`) was erased; Kim (`u6`) left `e6` for `e7` on our page.
    """
    history = begin(database)
    world = history.world
    world.take(order("eve", "u5 e5"), joined("eve", "u5"))
    world.take(an_event("kim", "u6 e6", kind="identify", name="Identified", occurred_at=NOW - 10 * DAY))
    eve, kim = world.who("u5"), world.who("u6")
    join(history, history.ada, history.old)
    world.take(an_event("care", "u1", name="Care Asked"))
    erase(history, eve)
    change(history, kim, "e7@example.com")
    history.look(history.ada, history.old, eve)
    history.given |= {"eve": eve, "kim": kim, "runs": len(world.rows(t.runs))}
    then = {"occurred_at": NOW - 15 * DAY}
    world.accept(order("late", "e2", **then))
    history.given["refusals"] = history.refusals(history.ada)
    world.take(
        joined("late", "e2", **then),
        an_event("late-care", "e2", name="Care Asked", **then),
        an_event("late-yes", "e2", name="Consent Given", properties={"topic": "news"}, **then),
        an_event("late-address", "u1 e8", kind="identify", name="Identified", occurred_at=NOW - 30 * DAY),
        an_event("late-tie", "u1 p2", **then),
        of_firm("late-company", "u1", "Grouped", "elsewhere", **then),
        order("too old", "e2", occurred_at=KEPT_FROM - DAY),
        order("late-eve", "u5 e5", **then),
        an_event("late-eve-yes", "u5", name="Consent Given", properties={"topic": "offers"}),
        an_event("late-kim", "u6 e6", kind="identify", name="Identified", **then),
        an_event("later-kim", "u6 e6", kind="identify", name="Identified", occurred_at=NOW),
    )
    complain(history, history.sent[history.old], "bounce", severity="hard", address="e2@example.com")
    world.check()
    return history


def change(history: History, contact: int, address: str) -> None:
    """The person confirms another address on our page."""
    now = history.world.clock.now()
    with history.database.write() as connection:
        request_queries.add_address_requests(
            connection, {contact: (page_of(history, contact).email, address)}, now=now, until=now + DAY
        )
    confirm(history, contact, address)
    history.world.settle()


def confirm(history: History, contact: int, address: str) -> None:
    (request,) = history.world.rows(t.requests, address=address)
    person = page_of(history, contact)
    with history.database.write() as connection:
        from_requests.change_address(connection, person, request, now=history.world.clock.now())


def still(history: History, table: str) -> None:
    """Every row of before is there as it was."""
    assert any(rows[table] for rows in history.before.values())
    for contact, rows in history.before.items():
        now = history.rows(contact)[table]
        assert [row for row in rows[table] if row not in now] == []


def untouched(history: History, table: str) -> None:
    """No row came, went or changed."""
    assert any(rows[table] for rows in history.before.values())
    for contact, rows in history.before.items():
        assert history.rows(contact)[table] == rows[table]


def late_identities(history: History) -> None:
    assert names_of(history, history.ada)["e8"] == history.ada
    assert names_of(history, history.given["eve"]) == {}
    assert history.world.who("u5") != history.given["eve"]


def late_contacts(history: History) -> None:
    assert email(history, history.ada) == "e1", "an address told for an earlier time is not the newest"
    assert email(history, history.given["kim"]) == "e7", "the person left the other one"
    eve = history.given["eve"]
    assert history.rows(eve)["contacts"] == history.before[eve]["contacts"]


def late_state(history: History) -> None:
    assert (orders(history, "u1"), orders(history, "u5")) == (4, 1)
    assert history.rows(history.given["eve"])["contact_state"] == []


def late_inbox(history: History) -> None:
    assert history.world.rows(t.inbox) == []
    assert "events_pending" in history.given["refusals"], "until it is applied no mail leaves"


def late_events(history: History) -> None:
    assert "order-late" in history.world.applied(history.ada)
    assert "order-late" not in history.world.applied(history.old)
    eve = history.given["eve"]
    assert history.rows(eve)["events"] == history.before[eve]["events"]
    assert "order-late-eve" in history.world.applied(history.world.who("u5"))


def late_quarantine(history: History) -> None:
    still(history, "quarantine")
    (row,) = history.world.rows(t.quarantine, stage="too_old")
    assert (row.message_id, row.contact_id) == ("order-too old", history.ada)


def late_non_entries(history: History) -> None:
    (row,) = history.world.rows(t.non_entries, contact_id=history.ada, measure=CARE)
    assert row.reason


def late_messages(history: History) -> None:
    numbers = sorted(row["id"] for rows in history.before.values() for row in rows["messages"])
    assert [row.id for row in history.world.rows(t.messages)] == numbers, "nothing is decided"
    assert same_mail(history) == {history.ada: ("waiting", ""), history.old: ("cancelled", "merged")}


def late_watches(history: History) -> None:
    assert watched(history, history.ada)["late"] == NOW - 15 * DAY
    assert watched(history, history.given["eve"]) == {}


def late_account_members(history: History) -> None:
    untouched(history, "account_members")
    assert firm_of(history, history.ada) == "ada's", "a company that was joined earlier changes nothing"


def late_feedback(history: History) -> None:
    still(history, "feedback")
    rows = history.world.rows(t.feedback, message_id=history.sent[history.old], kind="bounce")
    assert [row.contact_id for row in rows] == [history.ada]


def late_runs(history: History) -> None:
    untouched(history, "runs")
    assert len(history.world.rows(t.runs)) == history.given["runs"]


def late_consents(history: History) -> None:
    assert consents(history, history.ada)["news"] == "withdrawn"
    assert consents(history, history.world.who("u5")) == {"offers": "granted"}
    assert history.rows(history.given["eve"])["consents"] == []


def late_conflicts(history: History) -> None:
    untouched(history, "conflicts")


def late_dialogues(history: History) -> None:
    untouched(history, "dialogues")
    assert close_cases(history, history.ada) == []


def late_suppressions(history: History) -> None:
    assert suppressed(history, "e2@example.com") == {"complaint", "hard_bounce"}
    assert suppressed(history, "e5@example.com") == {"erased"}


def late_reasons(history: History) -> None:
    again = history.world.who("u5")
    assert history.rows(again)["suppression_reasons"] == []
    assert "suppression" in history.refusals(again)
    assert "hard_bounce" not in suppressed(history, "e1@example.com")


def late_erasures(history: History) -> None:
    assert history.world.rows(t.erasures, finished_at=None) == []
    untouched(history, "erasures")


LATE: dict[str, Cell] = {
    "identities": late_identities,
    "contacts": late_contacts,
    "contact_state": late_state,
    "inbox": late_inbox,
    "events": late_events,
    "quarantine": late_quarantine,
    "non_entries": late_non_entries,
    "messages": late_messages,
    "watches": late_watches,
    "account_members": late_account_members,
    "account_events": cell(untouched, "account_events"),
    "contact_values": cell(untouched, "contact_values"),
    "feedback": late_feedback,
    "runs": late_runs,
    "consents": late_consents,
    "conflicts": late_conflicts,
    "dialogues": late_dialogues,
    "suppressions": late_suppressions,
    "suppression_reasons": late_reasons,
    "erasures": late_erasures,
    **kept_in("baselines", "transitions", "milestones", "set_aside_measures", check=untouched),
    **kept_in(
        "actions",
        "coupons",
        "attempts",
        "requests",
        "touches",
        "shown_objects",
        "wishes",
        "merges",
        "notices",
        *("enrolments", "exposures", "outcomes"),
        check=untouched,
    ),
    **kept_in("hook_posts", "send_recipients", check=untouched),
    **kept_in("approvals", "sends", "switches", "pauses", "shop_things", check=text_kept),
}


# ---- change of address -----------------------------------------------------------------------------------


def live_change(database: Database) -> History:
    """Both confirm another address on our page. Kim (`u6 e6`) confirms one at which a guest is known."""
    history = begin(database)
    world = history.world
    world.take(an_event("kim", "u6 e6"), an_event("guest", "e7"))
    history.given |= {"kim": world.who("u6"), "guest": world.who("e7")}
    with database.write() as connection:
        record.suppress_address(
            connection,
            address="e1@example.com",
            scope="all",
            reason="hard_bounce",
            now=NOW,
            source="test",
            suppression_key=SUPPRESSION_KEY,
        )
    history.look(history.ada, history.old)
    number = history.mails.mail(history.given["kim"], NEWS, run_key="ready", due_at=NOW)
    chunk = history.mails.claim()
    assert [ready.id for ready in chunk.ready] == [number]
    for contact, address in ((history.ada, "newe1@example.com"), (history.old, "newe2@example.com")):
        confirm(history, contact, address)
    change(history, history.given["kim"], "e7@example.com")
    gate = SendGate(history.database, history.mails.delivery, chunk)
    history.given["passed"] = list(gate.mails())
    gate.close()
    history.given["post"] = post = Post()
    history.mails.deliver(post)
    world.check()
    return history


def change_identities(history: History) -> None:
    assert set(names_of(history, history.ada)) == {"u1", "e1", "newe1"}
    (row,) = history.world.rows(t.identities, value="newe1@example.com")
    assert (row.contact_id, row.told) == (history.ada, "confirmed")


def change_contacts(history: History) -> None:
    found = [email(history, contact) for contact in (history.ada, history.old, history.given["kim"])]
    assert found == ["newe1", "newe2", "e7"]


def change_inbox(history: History) -> None:
    assert history.world.rows(t.inbox) == []


def change_events(history: History) -> None:
    still(history, "events")
    for contact in history.before:
        assert history.rows(contact)["events"][-1]["name"] == "Address Changed"


def change_messages(history: History) -> None:
    assert same_mail(history) == {history.ada: ("waiting", ""), history.old: ("waiting", "")}
    assert history.given["passed"] == [], "what was ready goes back to the guard"
    assert [mail.recipient for mail in history.given["post"].taken] == ["e7@example.com"]


def change_requests(history: History) -> None:
    for contact, old in ((history.ada, "e1"), (history.old, "e2")):
        (row,) = history.world.rows(t.requests, contact_id=contact)
        assert (row.old_address, row.done_at) == (f"{old}@example.com", NOW)
        with pytest.raises(LostRace):
            confirm(history, contact, row.address)


def change_merges(history: History) -> None:
    (row,) = history.world.rows(t.merges)
    assert {row.survivor, row.merged} == {history.given["kim"], history.given["guest"]}


def change_dialogues(history: History) -> None:
    untouched(history, "dialogues")
    assert "holds" in history.refusals(history.ada)


def change_suppressions(history: History) -> None:
    text_kept(history, "suppressions")
    assert "suppression" not in history.refusals(history.ada), "a bounce is the address's"


def change_reasons(history: History) -> None:
    untouched_of(history, history.old, "suppression_reasons")
    assert "suppression" in history.refusals(history.old), "a complaint is the person's"


def change_erasures(history: History) -> None:
    erase(history, history.given["kim"])
    for address in ("e6@example.com", "e7@example.com"):
        assert suppressed(history, address) == {"erased"}


CHANGE: dict[str, Cell] = {
    "identities": change_identities,
    "contacts": change_contacts,
    "inbox": change_inbox,
    "events": change_events,
    "messages": change_messages,
    "requests": change_requests,
    "merges": change_merges,
    "dialogues": change_dialogues,
    "suppressions": change_suppressions,
    "suppression_reasons": change_reasons,
    "erasures": change_erasures,
    **kept_in("contact_state", "baselines", "quarantine", "transitions", "milestones", check=untouched),
    **kept_in("non_entries", "set_aside_measures", "watches", "actions", "coupons", "runs", check=untouched),
    **kept_in("account_members", "account_events", "contact_values", check=untouched),
    **kept_in("enrolments", "exposures", "outcomes", check=untouched),
    **kept_in(
        "attempts", "feedback", "consents", "touches", "shown_objects", "wishes", "conflicts", check=untouched
    ),
    **kept_in("notices", "hook_posts", "send_recipients", check=untouched),
    **kept_in("approvals", "sends", "switches", "pauses", "shop_things", check=text_kept),
}
