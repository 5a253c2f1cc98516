"""One way in for all feedback: kept once, matched early, late or never, and acting in the same transaction."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.consent.record import address_hash, suppress_address
from nurture.database import schema as t
from nurture.database.engine import Database, decode
from nurture.database.notifications import Notification
from nurture.domain.counts import Counts
from nurture.domain.feedback import Report
from nurture.domain.instant import DAY, HOUR, MINUTE, Instant
from nurture.domain.playbook import Playbook
from nurture.feedback.record import match_late, record
from tests.delivery.builders import NOON, PATH, a_measure, a_playbook
from tests.delivery.world import SUPPRESSION_KEY, Post, World, outcome
from tests.rig.notifier import RecordingNotifier, recorded_by

RECEIPT = "customer/any/receipt"


def the_playbook() -> Playbook:
    return a_playbook(a_measure(), a_measure(RECEIPT, purpose="transactional", topic=None))


@pytest.fixture
def world(database: Database) -> World:
    return World(replace(database, notifier=RecordingNotifier()), playbook=the_playbook())


def a_report(kind: Any, event_id: str = "1", **more: Any) -> Report:
    return Report(**({"provider": "postmark", "event_id": event_id, "kind": kind, "at": NOON} | more))


def recorded(world: World, *reports: Report) -> Counts:
    now = world.clock.now()
    return world.database.run(
        lambda connection: record(connection, reports, now=now, suppression_key=SUPPRESSION_KEY)
    )


def sent(world: World, contact: int, measure: str = PATH, **changes: Any) -> int:
    """Return a mail that is sent, with the Message-ID of our form."""
    number = world.mail(contact, measure, **({"run_key": str(contact)} | changes))
    with world.database.write() as connection:
        header = f"<m{number}.0123456789abcdef@shop.example>"
        mine = t.messages.c.id == number
        connection.execute(sa.update(t.messages).where(mine).values(header_id=header))
    assert world.deliver()["sent"] == 1
    return number


def notified(world: World) -> list[Notification]:
    """Return the notifications since the last call."""
    return recorded_by(world.database).take()


def events(world: World) -> list[tuple[str, str | None, dict[str, Any]]]:
    with world.database.read() as connection:
        rows = connection.execute(sa.select(t.inbox).order_by(t.inbox.c.id))
        return [(row.name, row.email, decode(row.body).get("properties", {})) for row in rows]


def suppressions(world: World) -> dict[tuple[str, str], str]:
    """Return (address or hash, scope) -> reason."""
    known = {address_hash(f"{name}@example.com", SUPPRESSION_KEY): name for name in ("ada", "bob", "eve")}
    with world.database.read() as connection:
        rows = connection.execute(sa.select(t.suppressions))
        return {(known.get(row.address_hash, row.address_hash), row.scope): row.reason for row in rows}


def kept(world: World) -> Sequence[Any]:
    with world.database.read() as connection:
        return connection.execute(sa.select(t.feedback).order_by(t.feedback.c.event_id)).all()


def test_a_hard_bounce_is_kept_suppresses_settles_and_tells_in_one_transaction(world: World) -> None:
    ada = world.person()
    number = sent(world, ada)
    version = world.contact(ada).version
    notified(world)
    done = recorded(
        world, a_report("bounce", severity="hard", message=number, detail={"diagnostic": "550 5.1.1 no"})
    )
    assert done["bounce"] == done["suppressed"] == done["settled"] == 1
    assert world.status(number) == ("failed", "hard_bounce")
    assert suppressions(world) == {("ada", "all"): "hard_bounce"}
    assert world.contact(ada).version > version
    (row,) = kept(world)
    assert (row.contact_id, row.message_id, row.address) == (ada, number, "ada@example.com")
    ((name, email, properties),) = events(world)
    assert (name, email) == ("Email Bounced", "ada@example.com")
    assert properties == {
        "diagnostic": "550 5.1.1 no",
        "provider": "postmark",
        "message": number,
        "measure": PATH,
        "purpose": "sales",
        "severity": "hard",
    }
    assert [queue for queue, _ in notified(world)] == ["inbox"]


def test_the_same_report_again_changes_nothing(world: World) -> None:
    number = sent(world, world.person())
    report = a_report("complaint", message=number)
    first = recorded(world, report, report)
    notified(world)
    again = recorded(world, report)
    assert first["complaint"] == 1
    assert (again["duplicate"], again["complaint"], notified(world)) == (1, 0, [])
    assert len(kept(world)) == len(events(world)) == 1
    recorded(world, replace(report, provider="mailgun"))
    assert len(kept(world)) == 2


def test_row_44_a_bounce_before_our_own_sent_is_written_lands(world: World) -> None:
    ada = world.person()
    number = world.mail(ada)

    class Slow(Post):
        """The provider's webhook is faster than the answer to the final dot."""

        def send(self, mails: Any) -> Any:
            for mail in mails:
                assert world.status(number)[0] == "on_wire"
                recorded(world, a_report("bounce", severity="hard", message=number))
                yield outcome(mail)

    assert world.deliver(Slow())["late"] == 1
    assert world.status(number) == ("failed", "hard_bounce")
    assert suppressions(world) == {("ada", "all"): "hard_bounce"}


def test_a_report_before_the_doubt_settles_it(world: World) -> None:
    """A report says delivered while the mail is on the wire; then the worker dies: no second receipt."""
    number = world.mail(world.person(), RECEIPT, mailing=True)

    class Dies(Post):
        def send(self, mails: Any) -> Any:
            for _ in mails:
                recorded(world, a_report("delivered", message=number))
                raise KeyboardInterrupt
            yield from ()

    with pytest.raises(KeyboardInterrupt):
        world.deliver(Dies())
    world.later(13 * MINUTE)
    world.recover()
    assert world.status(number) == ("sent", "")
    world.later(HOUR)
    assert world.recover()["retried"] == 0


def test_delivered_settles_a_doubt(world: World) -> None:
    number = world.mail(world.person(), RECEIPT)
    world.deliver(Post(lambda mail: outcome(mail, "in_doubt", stage="dot")))
    assert world.status(number)[0] == "in_doubt"
    assert recorded(world, a_report("delivered", message=number))["settled"] == 1
    assert world.status(number) == ("sent", "")
    assert events(world) == []


def test_row_44_a_report_about_nobody_we_know_suppresses_and_waits_for_the_person(world: World) -> None:
    done = recorded(world, a_report("complaint", address="eve@example.com"))
    assert done["unmatched"] == 1
    assert suppressions(world) == {("eve", "all"): "complaint"}
    assert events(world) == []
    assert matched(world) == 0
    world.later(60 * DAY)
    world.person("eve")
    assert matched(world) == 1
    assert [(name, email) for name, email, _ in events(world)] == [
        ("Email Marked as Spam", "eve@example.com")
    ]
    assert matched(world) == 0


def test_a_report_waits_no_longer_than_ninety_days(world: World) -> None:
    recorded(world, a_report("complaint", address="eve@example.com"))
    world.later(91 * DAY)
    world.person("eve")
    assert matched(world) == 0


def matched(world: World) -> int:
    now = world.clock.now()
    return world.database.run(lambda connection: match_late(connection, now=now))["matched"]


def test_row_44_a_report_after_ninety_days_about_a_merged_contact_goes_to_who_they_are_now(
    world: World,
) -> None:
    """After ninety days, about a mail decided for a contact that is another's part by now."""
    old, new = world.person("ada"), world.person("bob")
    number = sent(world, old)
    with world.database.write() as connection:
        merged = sa.update(t.contacts).where(t.contacts.c.id == old)
        connection.execute(merged.values(survivor=new, email=None))
        moved = sa.update(t.identities).where(t.identities.c.contact_id == old)
        connection.execute(moved.values(contact_id=new))
    world.later(91 * DAY)
    recorded(world, a_report("bounce", severity="hard", message=number, at=world.clock.now()))
    assert world.status(number) == ("failed", "hard_bounce")
    # The address the mail went to is suppressed, not the one the person has now.
    assert suppressions(world) == {("ada", "all"): "hard_bounce"}
    assert kept(world)[0].contact_id == new
    assert len(events(world)) == 1


def test_a_message_id_that_only_looks_like_ours_is_not_believed(world: World) -> None:
    number = sent(world, world.person())
    forged = f"<m{number}.ffffffffffffffff@shop.example>"
    recorded(world, a_report("bounce", severity="hard", header_id=forged))
    assert world.status(number) == ("sent", "")
    assert suppressions(world) == {}
    true = f"m{number}.0123456789abcdef@shop.example"
    recorded(world, a_report("bounce", "2", severity="hard", header_id=true))
    assert world.status(number) == ("failed", "hard_bounce")


@pytest.mark.parametrize(
    ("measure", "scope"), [(PATH, "marketing"), (RECEIPT, "all")], ids=["marketing", "transactional"]
)
def test_a_complaint_stops_at_once_in_the_scope_of_the_mail(world: World, measure: str, scope: str) -> None:
    number = sent(world, world.person(), measure)
    recorded(world, a_report("complaint", message=number))
    assert suppressions(world) == {("ada", scope): "complaint"}


def test_a_complaint_takes_the_place_of_an_unsubscribe_and_never_the_other_way(world: World) -> None:
    number = sent(world, world.person())
    for reason in ("sunset", "unsubscribed", "complaint", "unsubscribed"):
        world.database.run(
            lambda connection, reason=reason: suppress_address(  # type: ignore[misc]
                connection,
                address="ada@example.com",
                scope="marketing",
                reason=reason,
                now=NOON,
                source="test",
                suppression_key=SUPPRESSION_KEY,
            )
        )
    assert suppressions(world) == {("ada", "marketing"): "complaint"}
    assert world.status(number)[0] == "sent"


def test_an_act_of_a_machine_is_stored_and_makes_no_event(world: World) -> None:
    number = sent(world, world.person())
    recorded(world, a_report("click", message=number, machine=True))
    assert (kept(world)[0].machine, events(world)) == (True, [])
    recorded(world, a_report("click", "2", message=number, detail={"url": "https://shop.example/"}))
    assert [(name, properties["url"]) for name, _, properties in events(world)] == [
        ("Email Link Clicked", "https://shop.example/")
    ]


def test_an_unsubscribe_at_the_provider_withdraws_the_topic_of_the_mail(world: World) -> None:
    ada = world.person()
    number = sent(world, ada)
    recorded(world, a_report("unsubscribe", message=number))
    with world.database.read() as connection:
        consents = connection.execute(
            sa.select(t.consents.c.topic, t.consents.c.state, t.consents.c.source).order_by(t.consents.c.id)
        ).all()
    assert consents[-1] == ("offers", "withdrawn", "feedback")
    assert suppressions(world) == {}
    assert [(name, properties["topic"]) for name, _, properties in events(world)] == [
        ("Unsubscribed", "offers")
    ]


def test_an_unsubscribe_from_an_address_nobody_has_suppresses_it_for_marketing(world: World) -> None:
    recorded(world, a_report("unsubscribe", address="eve@example.com"))
    assert suppressions(world) == {("eve", "marketing"): "unsubscribed"}


# ---- soft bounces ----------------------------------------------------------------------------------------


def soft(world: World, number: int, day: int, at: Instant | None = None) -> None:
    recorded(
        world,
        a_report("bounce", f"soft{day}{at}", severity="soft", message=number, at=at or NOON + day * DAY),
    )


def test_soft_bounces_suppress_after_the_fourth_day(world: World) -> None:
    number = sent(world, world.person())
    for day in range(3):
        world.clock.advance_to(NOON + day * DAY)
        for hour in range(3):
            soft(world, number, day, NOON + day * DAY + hour * MINUTE)
    assert suppressions(world) == {}
    world.later(DAY)
    soft(world, number, 3)
    assert suppressions(world) == {("ada", "all"): "soft_bounces"}
    assert world.status(number) == ("sent", "")


@pytest.mark.parametrize("severities", [["undetermined"], ["soft", "undetermined"]], ids=["alone", "mixed"])
def test_undetermined_bounces_wear_out_like_soft_ones(world: World, severities: list[str]) -> None:
    number = sent(world, world.person())
    for day in range(4):
        assert suppressions(world) == {}
        world.clock.advance_to(NOON + day * DAY)
        at, severity = NOON + day * DAY, severities[day % len(severities)]
        recorded(world, a_report("bounce", f"u{day}", severity=severity, message=number, at=at))
    assert suppressions(world) == {("ada", "all"): "soft_bounces"}


def test_refusals_of_the_sender_count_against_nobody(world: World) -> None:
    number = sent(world, world.person())
    for day in range(8):
        world.clock.advance_to(NOON + day * DAY)
        at = NOON + day * DAY
        recorded(world, a_report("bounce", f"p{day}", severity="policy", message=number, at=at))
    assert suppressions(world) == {}


@pytest.mark.parametrize(
    ("reply", "reported"),
    [
        ({"code": "550", "reply": "transaction failed"}, ["undetermined"]),
        ({"code": "550 5.4.4", "reply": "host not found"}, ["soft"]),
        # The mail's own size and content say nothing about the mailbox.
        ({"code": "552 5.3.4", "reply": "too big"}, []),
        ({"code": "550 5.6.0", "reply": "bad mime"}, []),
    ],
    ids=["no reason", "no host", "size", "content"],
)
def test_an_unclear_refusal_on_the_wire_is_counted(
    world: World, reply: dict[str, Any], reported: list[str]
) -> None:
    world.mail(world.person())
    world.deliver(Post(lambda mail: outcome(mail, "failed", stage="rcpt", **reply)))
    assert [row.severity for row in kept(world)] == reported


def test_soft_bounces_are_forgotten_when_something_arrives_or_time_passes(world: World) -> None:
    number = sent(world, world.person())
    for day in range(7):
        world.clock.advance_to(NOON + day * DAY)
        soft(world, number, day)
        if day in (2, 5):
            recorded(world, a_report("delivered", f"in{day}", message=number, at=NOON + day * DAY + HOUR))
    for day in (40, 41, 80):
        world.clock.advance_to(NOON + day * DAY)
        soft(world, number, day)
    assert suppressions(world) == {}


def test_a_mailbox_that_is_full_on_the_wire_is_a_soft_bounce(world: World) -> None:
    number = world.mail(world.person(), valid_until=NOON + 30 * DAY)
    full = {"stage": "rcpt", "code": "552 5.2.2", "reply": "over quota"}
    for day in range(4):
        assert suppressions(world) == {}
        world.clock.advance_to(NOON + day * DAY)
        with world.database.write() as connection:
            # Its bounces wait in the inbox; here nobody applies them.
            connection.execute(sa.delete(t.inbox))
        for _ in range(2):
            world.deliver(Post(lambda mail: outcome(mail, "retry", **full)))
            world.later(HOUR)
    assert suppressions(world) == {("ada", "all"): "soft_bounces"}
    assert [row.event_id.split(":")[0] for row in kept(world)] == [str(number)] * 4


# ---- refusals --------------------------------------------------------------------------------------------


def refused(world: World, number: int, event_id: str) -> None:
    report = a_report("bounce", event_id, severity="policy", message=number, at=world.clock.now())
    recorded(world, replace(report, detail={"diagnostic": "550 5.7.1 poor reputation"}))


def test_refusals_of_us_pause_the_lane_and_suppress_nobody(world: World) -> None:
    numbers = [sent(world, world.person(name)) for name in ("ada", "bob", "eve")]
    # The same person's server may refuse as often as it likes.
    for again in range(5):
        refused(world, numbers[0], f"a{again}")
    refused(world, numbers[1], "b")
    assert paused(world) == {}
    refused(world, numbers[2], "c")
    assert "5.7.1 poor reputation" in paused(world)["main"]
    assert suppressions(world) == {}


def test_few_refusals_among_many_deliveries_pause_nothing(world: World) -> None:
    numbers = [sent(world, world.person(name)) for name in ("ada", "bob", "eve")]
    fine = [
        a_report("delivered", f"d{place}", message=numbers[0], address=f"p{place}@example.com")
        for place in range(60)
    ]
    recorded(world, *fine)
    for place, number in enumerate(numbers):
        refused(world, number, f"r{place}")
    assert paused(world) == {}


def paused(world: World) -> dict[str, str]:
    with world.database.read() as connection:
        rows = connection.execute(sa.select(t.switches).where(t.switches.c.paused))
        return {row.name: row.reason for row in rows}


# ---- bounds ----------------------------------------------------------------------------------------------


def test_a_thousand_reports_take_as_many_statements_as_ten(world: World) -> None:
    def statements(count: int) -> int:
        executed: list[str] = []
        engine = world.database.writer

        def listen(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            executed.append(statement)

        sa.event.listen(engine, "before_cursor_execute", listen)
        try:
            reports = [
                a_report("bounce", f"{count}-{place}", severity=severity, address=f"p{place}@example.com")
                for place in range(count // 2)
                for severity in ("hard", "soft")
            ]
            unique = [replace(report, event_id=f"{report.event_id}{report.severity}") for report in reports]
            recorded(world, *unique)
        finally:
            sa.event.remove(engine, "before_cursor_execute", listen)
        return len(executed)

    assert statements(10) == statements(1000)


def test_whatever_a_provider_sends_can_be_stored(world: World) -> None:
    number = sent(world, world.person())
    report = a_report(
        "click",
        "x" * 5000 + "\x00",
        message=number,
        raw="\x00\ud800" + "r" * 100_000,
        detail={"url": "u" * 50_000, "odd": object(), "nul": "a\x00b", "huge": 10**30},
    )
    recorded(world, report)
    (row,) = kept(world)
    assert len(row.raw) <= 20_000
    assert len(row.event_id) < 100
    assert decode(row.detail) == {"url": "u" * 2000, "nul": "ab"}
    assert len(events(world)) == 1


# ---- at once ---------------------------------------------------------------------------------------------


def test_copies_of_a_delivery_at_once_are_recorded_once(world: World) -> None:
    """Eight workers, the same twenty reports in eight orders, suppressing the same people."""
    numbers = [sent(world, world.person(name)) for name in ("ada", "bob", "eve")]
    reports = [
        a_report("bounce", f"{place}", severity="hard", message=numbers[place % 3]) for place in range(20)
    ]
    barrier = threading.Barrier(8)

    def work(turn: int) -> int:
        barrier.wait(10)
        return recorded(world, *reports[turn:], *reports[:turn])["bounce"]

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 20
    assert len(kept(world)) == len(events(world)) == 20
    assert {name for name, _ in suppressions(world)} == {"ada", "bob", "eve"}
