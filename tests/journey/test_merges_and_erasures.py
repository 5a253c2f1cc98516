"""Merge, un-merge, erasure, late event and change of address, for every table that names a person.

docs/reliability.md has the same cells as a table. Each history is lived once; its tests look at one table each.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from nurture.consent import record, request_queries
from nurture.contacts.conflict_queries import list_conflicts
from nurture.database import schema as t
from nurture.database.engine import Database, decode
from nurture.domain.errors import NotFoundError
from nurture.domain.instant import DAY, HOUR
from nurture.feedback import reply_queries
from nurture.journey import personal_data
from nurture.journey.personal_data import PERSONAL
from tests.delivery.world import SUPPRESSION_KEY
from tests.journey.builders import NOW, an_event
from tests.journey.late_and_changed import CHANGE, LATE, live_change, live_late
from tests.journey.two_people import (
    CARE,
    Cell,
    History,
    Made,
    begin,
    cell,
    close_cases,
    consents,
    email,
    erase,
    firm_of,
    join,
    kept,
    kept_and_shown,
    kept_apart,
    kept_in,
    merge_values,
    min_gap,
    names_of,
    opened,
    order,
    orders,
    part,
    requests_of,
    runs_of,
    same_mail,
    suppressed,
    text_kept,
    unmerge_values,
    untouched_of,
    watched,
)


@pytest.fixture(scope="module")
def lived(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """Give the function that returns a history, lived once."""
    histories: dict[Callable[[Database], History], History] = {}
    with ExitStack() as stack:

        def make(live: Callable[[Database], History]) -> History:
            if live not in histories:
                folder = tmp_path_factory.mktemp(live.__name__)
                histories[live] = live(stack.enter_context(opened(sqlite_template, folder)))
            return histories[live]

        yield make


# ---- merge -----------------------------------------------------------------------------------------------


def live_merge(database: Database) -> History:
    """An operator merges the guest into the customer, while an event of the guest is pending."""
    history = begin(database)
    history.world.take(an_event("eve", "u5 e5"))
    history.given["eve"] = history.world.who("u5")
    erase(history, history.given["eve"])
    history.look(history.ada, history.old)
    history.world.accept(order("pending", "e2", occurred_at=NOW - 15 * DAY))
    join(history, history.ada, history.old)
    history.world.settle()
    history.world.check()
    return history


def merge_identities(history: History) -> None:
    ada, old = history.ada, history.old
    assert names_of(history, ada) == {"u1": ada, "e1": ada, "e2": old, "p2": old, "a2": old}
    assert names_of(history, old) == {}


def merge_contacts(history: History) -> None:
    (row,) = history.world.rows(t.contacts, id=history.old)
    assert (row.survivor, email(history, history.ada)) == (history.ada, "e1")
    assert orders(history, "e2") == 4


def merge_state(history: History) -> None:
    assert set(history.world.contact("u1").memory.run_starts) == {CARE}
    old = history.rows(history.old)["contact_state"]
    assert old == history.before[history.old]["contact_state"] != []


def merge_baselines(history: History) -> None:
    assert history.rows(history.old)["baselines"] == history.before[history.old]["baselines"] != []
    assert orders(history, "u1") == 4, "with the order whose event is removed"


def merge_inbox(history: History) -> None:
    assert history.world.rows(t.inbox) == []
    assert history.world.applied(history.ada)[-1] == "order-pending"


def merge_set_aside(history: History) -> None:
    assert all(rows["set_aside_measures"] for rows in history.before.values())
    assert history.world.rows(t.set_aside_measures) == []


def merge_watches(history: History) -> None:
    before = {row["key"]: row["since"] for rows in history.before.values() for row in rows["watches"]}
    assert watched(history, history.ada) == before
    assert set(before) == {"ada", "old"}
    assert watched(history, history.old) == {}


def merge_account_members(history: History) -> None:
    assert all(rows["account_members"] for rows in history.before.values())
    assert firm_of(history, history.ada) == "ada's", "the account that was joined last"
    assert firm_of(history, history.old) is None


def merge_messages(history: History) -> None:
    assert same_mail(history) == {history.ada: ("waiting", ""), history.old: ("cancelled", "merged")}
    sent = [row.contact_id for row in history.world.rows(t.messages, status="sent")]
    assert sorted(sent) == sorted([history.ada, history.old])


def merge_runs(history: History) -> None:
    assert sorted(runs_of(history, CARE).values()) == [("active", ""), ("cancelled", "merged")]


def merge_consents(history: History) -> None:
    kept_and_shown(history, "consents")
    assert consents(history, history.ada) == {"news": "withdrawn", "offers": "granted"}


def merge_requests(history: History) -> None:
    kept(history, "requests")
    assert sorted(requests_of(history, history.ada)) == ["newe1@example.com", "newe2@example.com"]


def merge_preferences(history: History) -> None:
    assert min_gap(history, history.ada) == 7 * DAY


def merge_conflicts(history: History) -> None:
    states = {row.kind: row.state for row in history.world.rows(t.conflicts)}
    assert states == {"phone": "merged", "event": "open"}
    with history.database.read() as connection:
        members = personal_data.members_of(connection, history.ada)
        (shown,) = list_conflicts(connection, contact_ids=members, limit=9)
    assert (shown.kind, shown.contact_id) == ("event", history.old)


def merge_merges(history: History) -> None:
    (row,) = history.world.rows(t.merges)
    assert (row.survivor, row.merged, row.evidence) == (history.ada, history.old, '{"actor":"ann"}')
    assert row.undone_at is None


def merge_dialogues(history: History) -> None:
    with history.database.read() as connection:
        found = reply_queries.load_open_case(connection, history.ada, now=NOW)
    assert found is not None
    assert found.contact_id == history.old, "a further reply joins the newest of both"
    assert "holds" in history.refusals(history.ada)
    assert close_cases(history, history.ada) == []


def merge_suppressions(history: History) -> None:
    text_kept(history, "suppressions")
    assert suppressed(history, "e2@example.com") == {"complaint"}


def merge_reasons(history: History) -> None:
    (row,) = history.rows(history.old)["suppression_reasons"]
    assert row["contact_id"] == history.old
    assert "suppression" in history.refusals(history.ada)


def merge_erasures(history: History) -> None:
    with pytest.raises(NotFoundError, match="merged or erased"):
        join(history, history.ada, history.given["eve"])


#: Comparisons of measures.
MEASURED = ("enrolments", "exposures", "outcomes")

MERGE: dict[str, Cell] = {
    "identities": merge_identities,
    "contacts": merge_contacts,
    "contact_state": merge_state,
    "baselines": merge_baselines,
    "inbox": merge_inbox,
    "set_aside_measures": merge_set_aside,
    "watches": merge_watches,
    "account_members": merge_account_members,
    "messages": merge_messages,
    "runs": merge_runs,
    "consents": merge_consents,
    "requests": merge_requests,
    "wishes": merge_preferences,
    "conflicts": merge_conflicts,
    "merges": merge_merges,
    "dialogues": merge_dialogues,
    "suppressions": merge_suppressions,
    "suppression_reasons": merge_reasons,
    "erasures": merge_erasures,
    **kept_in("events", "quarantine", "transitions", "milestones", "non_entries", check=kept_and_shown),
    "account_events": cell(kept_and_shown, "account_events"),
    "contact_values": merge_values,
    **kept_in(
        "actions",
        "coupons",
        "attempts",
        "feedback",
        "touches",
        "shown_objects",
        "notices",
        "hook_posts",
        "send_recipients",
        *MEASURED,
        check=kept_and_shown,
    ),
    **kept_in("approvals", "sends", "switches", "pauses", "shop_things", check=text_kept),
}


@pytest.mark.parametrize("table", PERSONAL)
def test_merge(lived: Made, table: str) -> None:
    MERGE[table](lived(live_merge))


# ---- un-merge --------------------------------------------------------------------------------------------


def live_unmerge(database: Database) -> History:
    """Things go on for the two together; then the operator says that they are two people."""
    history = begin(database)
    history.world.take(an_event("eve", "u5 e5"), an_event("eve-2", "e6"))
    eve, other = history.world.who("u5"), history.world.who("e6")
    history.given["eve"] = other
    join(history, eve, other)
    erase(history, eve)
    history.look(history.ada, history.old)
    join(history, history.ada, history.old)
    history.world.clock.advance_to(NOW + HOUR)
    now = NOW + HOUR
    history.world.take(
        order("since", "e2", received_at=now, occurred_at=NOW - 15 * DAY),
        an_event("care", "u1", name="Care Asked", received_at=now, occurred_at=now),
    )
    assert history.world.rows(t.set_aside_measures)
    history.world.accept(order("pending", "e2", received_at=now, occurred_at=NOW - 15 * DAY))
    history.world.clock.advance_to(NOW + 2 * HOUR)
    part(history, history.old)
    history.world.settle()
    history.world.check()
    return history


def unmerge_identities(history: History) -> None:
    ada, old = history.ada, history.old
    assert names_of(history, ada) == {"u1": ada, "e1": ada}
    assert names_of(history, old) == {"e2": old, "p2": old, "a2": old}


def unmerge_contacts(history: History) -> None:
    (row,) = history.world.rows(t.contacts, id=history.old)
    assert row.survivor is None
    assert (email(history, history.ada), email(history, history.old)) == ("e1", "e2")


def unmerge_state(history: History) -> None:
    assert (orders(history, "u1"), orders(history, "e2")) == (2, 3)


def unmerge_baselines(history: History) -> None:
    assert history.rows(history.old)["baselines"] == history.before[history.old]["baselines"] != []
    assert history.rows(history.ada)["baselines"] == []


def unmerge_inbox(history: History) -> None:
    assert history.world.rows(t.inbox) == []
    assert history.world.applied(history.old)[-1] == "order-pending"


def unmerge_events(history: History) -> None:
    kept(history, "events")
    assert "order-since" in history.world.applied(history.ada)
    assert "order-since" not in history.world.applied(history.old)


def unmerge_set_aside(history: History) -> None:
    assert history.world.rows(t.set_aside_measures) == []


def unmerge_watches(history: History) -> None:
    kept(history, "watches")
    assert (set(watched(history, history.ada)), set(watched(history, history.old))) == ({"ada"}, {"old"})


def unmerge_account_members(history: History) -> None:
    assert firm_of(history, history.ada) == "ada's"
    assert firm_of(history, history.old) == "old's"


def unmerge_messages(history: History) -> None:
    assert same_mail(history)[history.old] == ("cancelled", "merged")
    owners = [row.contact_id for row in history.world.rows(t.messages, status="sent")]
    assert sorted(owners) == sorted([history.ada, history.old])


def unmerge_runs(history: History) -> None:
    assert sorted(runs_of(history, CARE).values()) == [("active", ""), ("cancelled", "merged")]
    for who, contact in (("u1", history.ada), ("e2", history.old)):
        active = {contact for contact, (status, _) in runs_of(history, CARE).items() if status == "active"}
        assert bool(history.world.contact(who).runs) == (contact in active)


def unmerge_consents(history: History) -> None:
    for contact in (history.ada, history.old):
        assert consents(history, contact) == {"news": "withdrawn", "offers": "granted"}


def unmerge_requests(history: History) -> None:
    kept(history, "requests")
    assert requests_of(history, history.ada) == ["newe1@example.com"]
    assert requests_of(history, history.old) == ["newe2@example.com"]


def unmerge_preferences(history: History) -> None:
    assert (min_gap(history, history.ada), min_gap(history, history.old)) == (7 * DAY, 7 * DAY)


def unmerge_conflicts(history: History) -> None:
    history.world.take(an_event("tie again", "u1 p2"))
    rows = history.world.rows(t.conflicts)
    assert {row.kind: row.state for row in rows} == {"phone": "separate", "event": "open"}


def unmerge_merges(history: History) -> None:
    (row,) = history.world.rows(t.merges, survivor=history.ada)
    assert (row.evidence, row.undone_at) == ('{"actor":"ann"}', NOW + 2 * HOUR)


def unmerge_dialogues(history: History) -> None:
    kept(history, "dialogues")
    (case,) = history.rows(history.old)["dialogues"]
    assert close_cases(history, history.ada) == [case["id"]], "the other's word does not close it"


def unmerge_suppressions(history: History) -> None:
    text_kept(history, "suppressions")
    assert suppressed(history, "e2@example.com") == {"complaint"}
    assert suppressed(history, "e1@example.com") == set()


def unmerge_reasons(history: History) -> None:
    untouched_of(history, history.old, "suppression_reasons")
    assert "suppression" in history.refusals(history.old)
    assert "suppression" not in history.refusals(history.ada)


def unmerge_erasures(history: History) -> None:
    with pytest.raises(NotFoundError, match="was erased"):
        part(history, history.given["eve"])


UNMERGE: dict[str, Cell] = {
    "identities": unmerge_identities,
    "contacts": unmerge_contacts,
    "contact_state": unmerge_state,
    "baselines": unmerge_baselines,
    "inbox": unmerge_inbox,
    "events": unmerge_events,
    "set_aside_measures": unmerge_set_aside,
    "watches": unmerge_watches,
    "account_members": unmerge_account_members,
    "messages": unmerge_messages,
    "runs": unmerge_runs,
    "consents": unmerge_consents,
    "requests": unmerge_requests,
    "wishes": unmerge_preferences,
    "conflicts": unmerge_conflicts,
    "merges": unmerge_merges,
    "dialogues": unmerge_dialogues,
    "suppressions": unmerge_suppressions,
    "suppression_reasons": unmerge_reasons,
    "erasures": unmerge_erasures,
    **kept_in("quarantine", "transitions", "milestones", "non_entries", check=kept_apart),
    "account_events": cell(kept_apart, "account_events"),
    "contact_values": unmerge_values,
    **kept_in(
        "actions",
        "coupons",
        "attempts",
        "feedback",
        "touches",
        "shown_objects",
        "notices",
        "hook_posts",
        "send_recipients",
        *MEASURED,
        check=kept_apart,
    ),
    **kept_in("approvals", "sends", "switches", "pauses", "shop_things", check=text_kept),
}


@pytest.mark.parametrize("table", PERSONAL)
def test_unmerge(lived: Made, table: str) -> None:
    UNMERGE[table](lived(live_unmerge))


# ---- erasure ---------------------------------------------------------------------------------------------


def live_erasure(database: Database) -> History:
    """The person of both contacts is erased; a colleague shares the mailbox `e2`."""
    history = begin(database)
    history.world.take(an_event("colleague", "u7"))
    history.given["colleague"] = history.world.who("u7")
    join(history, history.ada, history.old)
    history.world.take(an_event("care", "u1", name="Care Asked"))
    history.given["same"] = [row.id for row in history.world.rows(t.messages, run_key="same")]
    history.look(history.ada, history.old)
    with database.write() as connection:
        request_queries.add_address_requests(
            connection, {history.given["colleague"]: (None, "e2@example.com")}, now=NOW, until=NOW + DAY
        )
    history.world.accept(order("pending", "e2"), order("colleague", "u7 e2"))
    erase(history, history.ada)
    return history


def gone(history: History, table: str) -> None:
    """Rows of both were there, and none is."""
    assert any(rows[table] for rows in history.before.values())
    assert [history.rows(contact)[table] for contact in history.before] == [[], []]


def nameless(history: History, table: str) -> None:
    """As many rows as before, and nothing in them names the person."""
    for contact, rows in history.before.items():
        now = history.rows(contact)[table]
        assert len(now) == len(rows[table])
        assert "example.com" not in repr(now)
        assert "'old'" not in repr(now)
        assert "ann" not in repr(now)
    assert any(rows[table] for rows in history.before.values())


def text_gone(history: History, table: str) -> None:
    """The rows are there, and their texts name nobody."""
    rows = history.texts()[table]
    assert len(rows) == len(history.given["texts"][table]) > 0
    assert "example.com" not in repr(rows)


def erase_contacts(history: History) -> None:
    for contact in history.before:
        (row,) = history.world.rows(t.contacts, id=contact)
        assert (row.email, row.zone, row.facts, row.erased_at) == (None, None, {}, NOW)
        assert row.track == "customer"


def erase_inbox(history: History) -> None:
    (row,) = history.world.rows(t.inbox)
    assert row.message_id == "order-colleague", "an event of somebody else who uses the same mailbox stays"


def erase_shop_things(history: History) -> None:
    assert len(history.given["texts"]["shop_things"]) == 2
    assert history.world.rows(t.shop_things) == []


def erase_events(history: History) -> None:
    rows = [row for contact in history.before for row in history.rows(contact)["events"]]
    bodies = [decode(row["body"]) for row in rows]
    assert bodies == [{"properties": {"revenue": 5}}] * 2
    assert {row["source"] for row in rows} == {"erased"}


def erase_messages(history: History) -> None:
    nameless(history, "messages")
    ends = {history.mails.status(number) for number in history.given["same"]}
    assert ends == {("cancelled", "erased"), ("cancelled", "merged")}


def erase_runs(history: History) -> None:
    nameless(history, "runs")
    assert sorted(runs_of(history, CARE).values()) == [("cancelled", "erased"), ("cancelled", "merged")]


def erase_requests(history: History) -> None:
    nameless(history, "requests")
    (asked,) = history.world.rows(t.requests, contact_id=history.given["colleague"])
    assert (asked.address, asked.replaced_at) == (None, NOW), "nobody confirms an address of the person"


def erase_merges(history: History) -> None:
    (row,) = history.world.rows(t.merges)
    assert (row.survivor, row.merged, row.evidence) == (history.ada, history.old, "{}")


def erase_dialogues(history: History) -> None:
    assert {row.closed_at for row in history.world.rows(t.dialogues)} == {NOW}
    with history.database.write() as connection:
        assert reply_queries.lock_overdue_cases(connection, now=NOW + DAY, limit=9) == []


def erase_suppressions(history: History) -> None:
    rows = {row.address_hash: row.reason for row in history.world.rows(t.suppressions)}
    hashes = [record.address_hash(f"e{number}@example.com", SUPPRESSION_KEY) for number in (1, 2)]
    assert rows == {hashes[0]: "erased", hashes[1]: "complaint"}, "the strongest reason of each"


def erase_reasons(history: History) -> None:
    gone(history, "suppression_reasons")
    assert suppressed(history, "e2@example.com") == {"complaint", "erased"}
    assert suppressed(history, "e1@example.com") == {"erased"}


def erase_erasures(history: History) -> None:
    (row,) = history.world.rows(t.erasures)
    assert (row.contact_id, row.at, row.finished_at) == (history.ada, NOW, NOW)


ERASURE: dict[str, Cell] = {
    "contacts": erase_contacts,
    "inbox": erase_inbox,
    "shop_things": erase_shop_things,
    "events": erase_events,
    "messages": erase_messages,
    "runs": erase_runs,
    "requests": erase_requests,
    "merges": erase_merges,
    "dialogues": erase_dialogues,
    "suppressions": erase_suppressions,
    "suppression_reasons": erase_reasons,
    "erasures": erase_erasures,
    **kept_in("identities", "contact_state", "baselines", "quarantine", "non_entries", check=gone),
    **kept_in(
        "set_aside_measures",
        "watches",
        "account_members",
        "account_events",
        "contact_values",
        "touches",
        "shown_objects",
        "conflicts",
        "notices",
        "hook_posts",
        "send_recipients",
        check=gone,
    ),
    **kept_in("transitions", "milestones", "actions", "coupons", "attempts", "feedback", check=nameless),
    **kept_in("consents", "wishes", *MEASURED, check=nameless),
    **kept_in("approvals", "sends", "switches", "pauses", check=text_gone),
}


@pytest.mark.parametrize("table", PERSONAL)
def test_erasure(lived: Made, table: str) -> None:
    ERASURE[table](lived(live_erasure))


# ---- late event and change of address --------------------------------------------------------------------


@pytest.mark.parametrize("table", PERSONAL)
def test_late_event(lived: Made, table: str) -> None:
    LATE[table](lived(live_late))


@pytest.mark.parametrize("table", PERSONAL)
def test_change_of_address(lived: Made, table: str) -> None:
    CHANGE[table](lived(live_change))
