"""One send is paused, resumed, cancelled and slowed down; others go on, and nobody gets anything twice."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.app.sends import control, hand_in
from nurture.app.sends.recipients import audience_of, find_recipients
from nurture.database import schema as t
from nurture.database.engine import Database
from nurture.delivery.deliver import claim
from nurture.delivery.send_gate import SendGate
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.instant import HOUR, MINUTE
from tests.app.sends.shop import DAY, NOTICE, OFFER, Shop

PEOPLE = 12
LIST = ("contact:1", "contact:2", "contact:3")


@pytest.fixture
def shop(sqlite_database: Database) -> Shop:
    shop = Shop(sqlite_database)
    shop.people(PEOPLE)
    return shop


def test_a_paused_send_waits_and_another_goes_on(shop: Shop) -> None:
    shop.send(NOTICE)
    shop.send(OFFER, request="r2")
    shop.drain()
    control.pause(shop.services, "r1", actor="cli:ann", reason="wrong price")
    shop.work()
    assert shop.statuses("r1") == {("waiting", "paused"): PEOPLE}
    assert shop.statuses("r2") == {("sent", ""): PEOPLE}
    shown = control.show_send(shop.services, "r1")
    assert (shown["state"], shown["reason"], shown["changed_by"]) == ("paused", "wrong price", "cli:ann")
    assert shown["queued_because"] == {"paused": PEOPLE}

    assert control.resume(shop.services, "r1", actor="cli:ann")["released"] == PEOPLE
    shop.work()
    assert shop.statuses("r1") == {("sent", ""): PEOPLE}
    assert control.show_send(shop.services, "r1")["state"] == "done"


def test_a_mail_that_the_guard_let_pass_stops_at_the_send_gate(database: Database) -> None:
    shop = Shop(database)
    shop.people(2)
    shop.send(NOTICE, find_recipients(shop.services, ["p1@shop.example"]))
    shop.send(NOTICE, find_recipients(shop.services, ["p2@shop.example"]), request="r2")
    shop.drain()
    chunk = claim(database, shop.delivery, lane="main")
    assert len(chunk.ready) == 2
    control.pause(shop.services, "r1", actor="cli:ann", reason="")
    gate = SendGate(database, shop.delivery, chunk)
    list(shop.post.send(gate.mails()))
    assert [mail.recipient for mail in shop.post.taken] == ["p2@shop.example"]
    gate.close()
    assert shop.statuses("r1") == {("waiting", "changed"): 1}


def test_a_cancelled_send_ends_what_has_not_left(shop: Shop) -> None:
    shop.send(NOTICE)
    shop.drain()
    shop.deliver(5)
    done = control.cancel(shop.services, "r1", actor="cli:ann", reason="wrong price")
    assert (done["messages"], done["withdrawn"]) == (PEOPLE - 5, 0)
    shop.live(DAY, tick=HOUR)
    ended = {("sent", ""): 5, ("cancelled", "cancelled_by_ops"): PEOPLE - 5}
    assert shop.statuses() == ended
    shown = control.show_send(shop.services, "r1")
    assert (shown["state"], shown["sent"], shown["queued"]) == ("cancelled", 5, 0)
    assert shown["not_sent"] == {"cancelled_by_ops": PEOPLE - 5}
    with pytest.raises(InputError, match="was cancelled by cli:ann"):
        control.resume(shop.services, "r1", actor="cli:ann")
    assert control.cancel(shop.services, "r1", actor="cli:bob", reason="again")["messages"] == 0
    # The first word stays, and the same request begins nothing any more.
    shown = control.show_send(shop.services, "r1")
    assert (shown["reason"], shown["changed_by"]) == ("wrong price", "cli:ann")
    with pytest.raises(InputError, match=r"was cancelled by cli:ann: wrong price; begin another one"):
        shop.send(NOTICE)


def test_a_cancelled_send_takes_back_who_is_not_decided(shop: Shop) -> None:
    shop.send(NOTICE)
    assert shop.pending() == PEOPLE
    done = control.cancel(shop.services, "r1", actor="cli:ann", reason="")
    assert (done["withdrawn"], shop.pending()) == (PEOPLE, 0)
    shown = control.show_send(shop.services, "r1")
    assert (shown["handed_in"], shown["withdrawn"], shown["decided"]) == (PEOPLE, PEOPLE, 0)
    # Nothing was decided for them, so `once` keeps nobody out of the corrected send.
    shop.send(NOTICE, request="r2")
    shop.work()
    assert shop.statuses("r2") == {("sent", ""): PEOPLE}


def test_an_event_that_a_worker_was_applying_is_cancelled_by_the_guard(shop: Shop) -> None:
    shop.send(NOTICE)
    shop.drain()
    with shop.database.write() as connection:
        connection.execute(sa.update(t.sends).values(state="cancelled", reason="wrong price"))
    shop.work()
    assert shop.statuses() == {("cancelled", "cancelled_by_ops"): PEOPLE}


def test_a_send_that_is_not_there_is_told(shop: Shop) -> None:
    for act in (control.resume, control.show_send):
        with pytest.raises(NotFoundError, match="nurture sends list"):
            act(shop.services, "r9", **({"actor": "cli:ann"} if act is control.resume else {}))


# ---- handing in ------------------------------------------------------------------------------------------


def test_a_worker_hands_in_what_a_killed_command_left(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand_in, "PAGE", 5)
    monkeypatch.setattr("nurture.app.audience.PAGE", 5)
    order = hand_in.SendOrder(NOTICE, audience_of("True"), request="r1", actor="cli:ann", rate=600)
    hand_in.begin(shop.services, order, by_workers=False)
    page = partial(hand_in._hand_in_page, shop.services, request="r1", is_first=True, lease=MINUTE // 2)
    shop.database.run(page)
    assert control.show_send(shop.services, "r1")["state"] == "handing_in"
    # The killed command keeps the send to itself for some seconds.
    assert hand_in.continue_sends(shop.services).total() == 0
    shop.clock.advance_to(shop.now + MINUTE)
    while hand_in.continue_sends(shop.services).total():
        shop.drain()
    shop.live(10 * MINUTE)
    assert shop.statuses() == {("sent", ""): PEOPLE}
    assert hand_in.send(shop.services, order)["handed_in"] == 0


def test_a_paused_send_hands_nobody_in_and_a_resumed_one_the_rest(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_in, "PAGE", 5)
    monkeypatch.setattr("nurture.app.audience.PAGE", 5)
    order = hand_in.SendOrder(NOTICE, audience_of("True"), request="r1", actor="cli:ann")
    hand_in.begin(shop.services, order)
    assert hand_in.continue_sends(shop.services)["handed_in"] == 5
    control.pause(shop.services, "r1", actor="cli:ann", reason="")
    assert hand_in.continue_sends(shop.services).total() == 0
    assert hand_in.hand_in_rest(shop.services, "r1") == 0
    control.resume(shop.services, "r1", actor="cli:ann")
    while hand_in.continue_sends(shop.services).total():
        pass
    shop.work()
    assert shop.statuses() == {("sent", ""): PEOPLE}


def test_a_request_id_is_one_send(shop: Shop) -> None:
    shop.send(NOTICE)
    for measure, recipients, at in (
        (OFFER, audience_of("True"), None),
        (NOTICE, audience_of("orders >= 0"), None),
        (NOTICE, audience_of("True"), shop.now + HOUR),
    ):
        with pytest.raises(InputError, match="another measure, audience, time or option"):
            shop.send(measure, recipients, at=at)


def test_a_list_goes_to_the_people_that_it_names_as_they_are_now(shop: Shop) -> None:
    recipients = find_recipients(shop.services, [*LIST, "p3@shop.example", "who@else.example"])
    assert (recipients.contacts, recipients.repeated) == ((1, 2, 3), 1)
    assert [(name.place, name.who) for name in recipients.unknown] == [("--to", "who@else.example")]
    order = hand_in.SendOrder(NOTICE, recipients, request="r1", actor="cli:ann")
    hand_in.begin(shop.services, order)
    with shop.database.write() as connection:
        connection.execute(sa.update(t.contacts).where(t.contacts.c.id == 2).values(survivor=4))
        connection.execute(sa.update(t.contacts).where(t.contacts.c.id == 3).values(erased_at=shop.now))
    hand_in.hand_in_rest(shop.services, "r1")
    shop.work()
    with shop.database.read() as connection:
        got = connection.execute(sa.select(t.messages.c.contact_id).order_by(t.messages.c.contact_id))
        assert list(got.scalars()) == [1, 4]


LISTS = [
    ("plain.txt", "p1@shop.example\n\ncontact:2\nwho@else.example\n", None, (1, 2), ["plain.txt:4"]),
    ("people.csv", "Name;E-Mail\nAnn;P1@shop.example\nBo;\n", None, (1,), ["people.csv:3"]),
    ("people.csv", "a,to\nx,p1@shop.example\nx,p1@shop.example\n", "to", (1,), []),
    ("people.csv", "contact\n1\n99\n", None, (1,), ["people.csv:3"]),
    ("l.jsonl", '{"email": "p2@shop.example"}\n{"email": "x@y.example"}\n', None, (2,), ["l.jsonl:2"]),
]


@pytest.mark.parametrize("case", LISTS)
def test_lists_are_read_in_every_form(shop: Shop, tmp_path: Path, case: tuple[Any, ...]) -> None:
    name, text, column, found, unknown = case
    (tmp_path / name).write_text(text)
    recipients = find_recipients(shop.services, [], file=tmp_path / name, column=column)
    assert recipients.contacts == found
    assert [place.place for place in recipients.unknown] == unknown


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("a,b\n1,2\n", None, "no column names people"),
        ("email\np1@shop.example\n", "address", "no column 'address'"),
        ("", None, "the file is empty"),
        ("\x00\x01\x02" * 99, None, "this is no text"),
        (",".join(f"c{number}" for number in range(99)) + "\n1\n", None, "c0, c1, .*c11 and 87 more$"),
        (f"{'x' * 99}\n1\n", None, f"it has: {'x' * 40}...$"),
        ("email\nwho@else.example\n", None, "nobody is known"),
    ],
)
def test_a_list_that_cannot_be_used_says_what_to_change(
    shop: Shop, tmp_path: Path, text: str, column: str | None, says: str
) -> None:
    (tmp_path / "people.csv").write_text(text)
    with pytest.raises((InputError, NotFoundError), match=says):
        find_recipients(shop.services, [], file=tmp_path / "people.csv", column=column)


# ---- rate and schedule -----------------------------------------------------------------------------------


def test_a_rate_spreads_mail_evenly_after_a_pause_too(shop: Shop) -> None:
    shop.send(NOTICE, rate=60)
    shop.work()
    shop.live(2 * MINUTE)
    assert len(shop.post.taken) == 3
    control.pause(shop.services, "r1", actor="cli:ann", reason="")
    shop.live(HOUR, tick=10 * MINUTE)
    assert len(shop.post.taken) == 3
    control.resume(shop.services, "r1", actor="cli:ann")
    shop.work()
    shop.live(20 * MINUTE)
    assert shop.statuses() == {("sent", ""): PEOPLE}
    per_minute = Counter(at // MINUTE for at in shop.sent_at())
    assert max(per_minute.values()) == 1


def test_a_rate_holds_when_workers_were_away(shop: Shop) -> None:
    shop.send(NOTICE, rate=60)
    shop.work()
    shop.later(HOUR)
    assert len(shop.post.taken) == 2
    shop.live(20 * MINUTE)
    assert shop.statuses() == {("sent", ""): PEOPLE}
    assert max(Counter(at // MINUTE for at in shop.sent_at()).values()) == 1


def test_a_slow_send_is_not_too_late_and_a_faster_rate_counts_from_now(shop: Shop) -> None:
    # The notice is valid for two hours; the last mail has its place after five and a half.
    shop.send(NOTICE, rate=2)
    shop.work()
    shop.live(4 * HOUR, tick=HOUR // 2)
    shown = control.show_send(shop.services, "r1")
    assert (shown["sent"], shown["queued_because"]) == (9, {"send_rate": 3})
    assert shown["ends_at"] is not None
    control.set_rate(shop.services, "r1", rate=None, actor="cli:ann")
    shop.work()
    assert shop.statuses() == {("sent", ""): PEOPLE}


def test_a_send_is_scheduled_until_its_time(shop: Shop) -> None:
    shop.send(NOTICE, at=shop.now + HOUR)
    shop.work()
    assert control.show_send(shop.services, "r1")["state"] == "scheduled"
    assert shop.post.taken == []
    shop.later(HOUR)
    assert control.show_send(shop.services, "r1")["state"] == "done"
    assert len(shop.post.taken) == PEOPLE


# ---- what is shown ---------------------------------------------------------------------------------------


def test_a_send_shows_whom_it_reached_and_why_not_the_others(shop: Shop) -> None:
    shop.order(1, 2)
    with shop.database.write() as connection:
        connection.execute(sa.delete(t.consents).where(t.consents.c.contact_id == 3))
    shop.send(OFFER)
    before = control.show_send(shop.services, "r1")
    assert (before["state"], before["to_decide"], before["decided"]) == ("sending", PEOPLE, 0)
    shop.work()
    shown = control.show_send(shop.services, "r1")
    assert (shown["meant"], shown["handed_in"], shown["decided"]) == (PEOPLE, PEOPLE, PEOPLE)
    assert shown["refused"] == {"other_track": 2}
    assert (shown["sent"], shown["not_sent"]) == (9, {"no_consent": 1})
    assert (shown["asked_by"], shown["audience"], shown["mails_an_hour"]) == (
        "cli:ann",
        "audience: True",
        108,
    )
    (row,) = control.list_sends(shop.services)
    assert (row["request"], row["state"], row["people"]) == ("r1", "done", PEOPLE)
