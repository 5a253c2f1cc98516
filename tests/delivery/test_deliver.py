"""From the chunk gate to the ledger: the send gate, outcomes, retries, lanes and recovery, on both databases."""

from hashlib import sha256
from typing import Any

import pytest
import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.engine import Database, decode, encode
from nurture.delivery import send_gate
from nurture.delivery.claim_queries import conservation
from nurture.delivery.send_gate import SendGate
from nurture.delivery.verdicts import read_checks
from nurture.domain.instant import DAY, FOREVER, HOUR, MINUTE, SECOND
from nurture.ledger.settle import settle_by_evidence
from nurture.transports.types import OutgoingMail
from tests.delivery.builders import NOON, PATH, a_measure, a_playbook
from tests.delivery.world import Post, World, find_unexplained_mails, outcome

RECEIPT = a_measure("any/any/receipt", purpose="transactional", topic=None)


@pytest.fixture
def world(database: Database) -> World:
    return World(database, a_playbook(a_measure(), RECEIPT))


def answering(result: str, **more: Any) -> Post:
    return Post(lambda mail: outcome(mail, result, **more))


def test_a_due_mail_is_sent_once(world: World) -> None:
    ada = world.person()
    number = world.mail(ada, mailing=True)
    post = Post()
    counts = world.deliver(post)
    assert (counts["sent"], counts.more) == (1, False)
    (mail,) = post.taken
    assert (mail.message_id, mail.attempt, mail.recipient) == (number, 1, "ada@example.com")
    row = world.message(number)
    assert (row.status, row.reason, row.sent_at, row.settled_at) == ("sent", "", NOON, NOON)
    assert (row.lease_owner, row.lease_until, row.told) == (None, None, False)
    assert row.content_hash == sha256(mail.data).hexdigest()[:32]
    assert world.contact(ada).wake_at == NOON
    assert world.attempts() == [(number, 1, "sent")]
    assert not world.deliver(post)
    assert len(post.taken) == 1


def test_a_contact_whose_run_does_not_wait_is_not_woken(world: World) -> None:
    ada = world.person()
    world.mail(ada)
    assert world.deliver()["sent"] == 1
    assert world.contact(ada).wake_at == FOREVER


def test_many_mails_leave_in_windows(world: World) -> None:
    numbers = [world.mail(world.person(f"p{place}")) for place in range(70)]
    post = Post()
    assert world.deliver(post, limit=50)["sent"] == 50
    counts = world.deliver(post, limit=50)
    assert (counts["sent"], counts.more) == (20, False)
    assert sorted(mail.message_id for mail in post.taken) == numbers


# ---- the send gate ---------------------------------------------------------------------------------------


def between_the_gates(world: World, change: Any) -> tuple[Post, dict[str, int]]:
    """Claim, let `change` happen, then go on delivering the claimed chunk."""
    chunk = world.claim()
    assert len(chunk.ready) == 1
    change()
    gate = SendGate(world.database, world.delivery, chunk)
    post = Post()
    list(post.send(gate.mails()))
    gate.close()
    return post, dict(chunk.counts)


@pytest.mark.parametrize(
    "change", ["unsubscribe", "suppress", "pause", "pause lane", "pause marketing", "pause all", "track"]
)
def test_a_change_between_the_gates_sends_the_mail_back_to_the_guard(world: World, change: str) -> None:
    ada = world.person()
    number = world.mail(ada)

    def happen() -> None:
        if change == "unsubscribe":
            world.unsubscribe(ada)
        elif change == "suppress":
            world.unsubscribe(ada, topic=None)
        elif change.startswith("pause"):
            names = {"pause": PATH, "pause lane": "main", "pause marketing": "main:marketing"}
            world.switch(names.get(change, "all"))
        else:
            with world.database.write() as connection:
                connection.execute(sa.update(t.contacts).values(track="lead", stage="aware"))

    post, counts = between_the_gates(world, happen)
    assert not post.taken
    assert counts["changed"] == 1
    assert world.status(number) == ("waiting", "changed")
    world.deliver(post)
    assert not post.taken
    expected = {
        "unsubscribe": ("skipped", "consent_withdrawn"),
        "suppress": ("skipped", "suppressed"),
        "pause": ("waiting", "paused"),
        "pause lane": ("waiting", "changed"),
        "pause marketing": ("waiting", "paused"),
        "pause all": ("waiting", "changed"),
        "track": ("cancelled", "track"),
    }
    assert world.status(number) == expected[change]


def test_an_advance_between_the_gates_sends_the_mail_back(world: World) -> None:
    ada = world.person()
    number = world.mail(ada)

    def advance() -> None:
        with world.database.write() as connection:
            connection.execute(sa.update(t.contacts).values(version=t.contacts.c.version + 1))

    post, _ = between_the_gates(world, advance)
    assert not post.taken
    assert world.deliver(post)["sent"] == 1
    assert world.message(number).attempt == 2


def test_a_merge_between_the_gates_sends_the_mail_back(world: World) -> None:
    old, ada = world.person("old"), world.person("ada")
    number = world.mail(old)

    def merge() -> None:
        with world.database.write() as connection:
            connection.execute(sa.update(t.contacts).where(t.contacts.c.id == old).values(survivor=ada))

    post, _ = between_the_gates(world, merge)
    assert not post.taken
    assert world.deliver(post)["sent"] == 1
    assert post.taken[0].recipient == "ada@example.com"
    assert world.message(number).status == "sent"


def test_a_cancelled_mail_does_not_pass_the_gate(world: World) -> None:
    number = world.mail(world.person())

    def cancel() -> None:
        with world.database.write() as connection:
            connection.execute(sa.update(t.messages).values(status="cancelled", reason="converted"))

    post, _ = between_the_gates(world, cancel)
    assert not post.taken
    assert world.status(number) == ("cancelled", "converted")


def test_a_lapsed_lease_does_not_pass_the_gate(world: World) -> None:
    number = world.mail(world.person())
    post, _ = between_the_gates(world, lambda: world.later(3 * MINUTE))
    assert not post.taken
    assert world.status(number) == ("waiting", "changed")


def test_an_earlier_attempt_of_the_same_worker_does_not_pass_the_gate_either(world: World) -> None:
    number = world.mail(world.person())
    stale = world.claim()
    world.later(3 * MINUTE)
    world.recover()
    fresh = world.claim()
    assert [ready.attempt for ready in (*stale.ready, *fresh.ready)] == [1, 2]
    old = SendGate(world.database, world.delivery, stale)
    assert list(old.mails()) == []
    old.close()
    assert world.status(number) == ("ready", "")
    assert [mail.attempt for mail in SendGate(world.database, world.delivery, fresh).mails()] == [2]


# ---- outcomes --------------------------------------------------------------------------------------------


def test_a_refusal_for_now_is_tried_again_with_the_same_bytes_ever_later(world: World) -> None:
    number = world.mail(world.person())
    post = answering("retry", stage="rcpt", code="450 4.2.1")
    waits = []
    for _ in range(5):
        assert world.deliver(post)["retry"] == 1
        assert world.status(number) == ("waiting", "retry")
        row = world.message(number)
        assert (row.sent_at, row.settled_at) == (None, None)
        waits.append((row.due_at - world.clock.now()) / MINUTE)
        world.clock.advance_to(row.due_at)
    assert [round(wait, 1) for wait in waits] == pytest.approx([1, 5, 30, 48, 76.8], rel=0.11)
    assert len({mail.data for mail in post.taken}) == 1
    assert [mail.attempt for mail in post.taken] == [1, 2, 3, 4, 5]


def test_retries_end_when_the_mail_is_too_late(world: World) -> None:
    number = world.mail(world.person(), valid_until=NOON + 4 * MINUTE)
    post = answering("retry", stage="rcpt")
    world.deliver(post)
    world.later(2 * MINUTE)
    world.deliver(post)
    assert world.message(number).due_at == NOON + 4 * MINUTE
    world.later(2 * MINUTE)
    assert world.deliver(post)["expired"] == 1
    assert world.status(number) == ("expired", "too_late")


def test_a_retry_is_guarded_again(world: World) -> None:
    ada = world.person()
    number = world.mail(ada)
    world.deliver(answering("retry", stage="rcpt"))
    world.unsubscribe(ada)
    world.later(HOUR)
    post = Post()
    world.deliver(post)
    assert not post.taken
    assert world.status(number) == ("skipped", "consent_withdrawn")


def test_the_wait_that_a_server_asks_for_is_kept(world: World) -> None:
    number = world.mail(world.person())
    world.deliver(answering("retry", stage="rcpt", retry_after=20 * MINUTE))
    assert world.message(number).due_at == NOON + 20 * MINUTE
    world.later(20 * MINUTE)
    world.deliver(answering("retry", stage="connect", retry_after=0))
    assert world.message(number).due_at == NOON + 20 * MINUTE
    assert world.deliver()["sent"] == 1


def test_an_address_that_does_not_exist_is_suppressed(world: World) -> None:
    ada = world.person()
    number = world.mail(ada, mailing=True)
    receipt = world.mail(ada, RECEIPT.path, due_at=NOON + SECOND)
    version = world.contact(ada).version
    world.deliver(answering("failed", stage="rcpt", code="550 5.1.1", suppress=True))
    assert world.status(number) == ("failed", "hard_bounce")
    assert world.message(number).settled_at == NOON
    assert world.contact(ada).wake_at == NOON
    assert world.contact(ada).version == version + 1
    world.later(SECOND)
    world.deliver()
    assert world.status(receipt) == ("skipped", "suppressed")


def test_a_mail_refused_for_good_suppresses_nobody(world: World) -> None:
    ada = world.person()
    number = world.mail(ada)
    world.deliver(answering("failed", code="554 5.6.0"))
    assert world.status(number) == ("failed", "refused")
    assert world.contact(ada).version == 0


def test_our_own_fault_pauses_the_lane_and_keeps_the_mail(world: World) -> None:
    numbers = [world.mail(world.person(f"p{place}")) for place in range(3)]

    class Refusing(Post):
        """Stops taking letters once it is at fault, as the SMTP transport does."""

        def send(self, mails: Any) -> Any:
            mail = next(iter(mails))
            self.taken.append(mail)
            yield outcome(mail, "lane_paused", stage="greeted", code="535 5.7.8", reply="who are you")

    counts = world.deliver(Refusing())
    assert counts["lane_paused"] == 1
    assert not counts.more
    assert {world.status(number)[0] for number in numbers} == {"waiting"}
    assert not world.deliver()
    with world.database.read() as connection:
        switch = connection.execute(sa.select(t.switches)).one()
    assert (switch.name, switch.paused, switch.reason) == ("main", True, "greeted: 535 5.7.8 who are you")
    world.switch("main", paused=False)
    assert world.deliver()["sent"] == 3


def test_a_marketing_mail_in_doubt_is_never_sent_again(world: World) -> None:
    ada = world.person()
    number = world.mail(ada, mailing=True)
    post = answering("in_doubt", stage="dot")
    world.deliver(post)
    row = world.message(number)
    assert (row.status, row.reason, row.settled_at, row.sent_at) == ("in_doubt", "in_doubt", NOON, NOON)
    assert world.contact(ada).wake_at == NOON
    world.later(30 * DAY)
    world.recover()
    world.deliver(post)
    assert len(post.taken) == 1
    assert world.status(number) == ("in_doubt", "in_doubt")


def test_a_transactional_mail_in_doubt_waits_ten_minutes_and_is_sent_three_times_at_most(
    world: World,
) -> None:
    ada = world.person()
    number = world.mail(ada, RECEIPT.path, mailing=True)
    post = answering("in_doubt", stage="dot")
    for tries in (1, 2, 3):
        world.deliver(post)
        assert len(post.taken) == tries
        assert world.status(number) == ("in_doubt", "in_doubt")
        assert (world.message(number).settled_at is None) == (tries < 3)
        assert world.contact(ada).wake_at == (FOREVER if tries < 3 else world.clock.now())
        world.later(10 * MINUTE - SECOND)
        assert world.recover()["retried"] == 0
        world.later(SECOND)
        assert world.recover()["retried"] == (1 if tries < 3 else 0)
    world.deliver(post)
    assert len(post.taken) == 3
    assert len({mail.data for mail in post.taken}) == 1


def test_a_lane_that_is_asked_to_slow_down_rests(world: World) -> None:
    for name in ("ada", "bob"):
        world.mail(world.person(name), due_at=NOON if name == "ada" else NOON + SECOND)
    world.deliver(answering("retry", stage="mail", slow=True))
    world.later(59 * SECOND)
    assert not world.deliver()
    world.later(SECOND)
    assert world.deliver()["sent"] >= 1


def test_a_server_that_cannot_be_reached_lets_the_lane_rest_and_costs_the_mail_nothing(world: World) -> None:
    number = world.mail(world.person())
    for _ in range(10):
        world.deliver(answering("retry", stage="connect"))
        assert not world.deliver()
        wait = world.message(number).due_at - world.clock.now()
        assert 50 * SECOND < wait < 70 * SECOND
        world.later(wait)
    assert world.deliver()["sent"] == 1


def test_a_rate_is_kept(world: World) -> None:
    with world.database.write() as connection:
        connection.execute(sa.update(t.lanes).values(rate=5, tokens=5, filled_at=NOON))
    for place in range(20):
        world.mail(world.person(f"p{place}"))
    sent = []
    for _ in range(8):
        sent.append(world.deliver()["sent"])
        world.later(SECOND // 2)
    assert sent[0] == 5
    assert sum(sent) == 20
    assert max(sum(sent[place : place + 2]) for place in range(1, 7)) <= 5


def test_two_workers_share_one_rate(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # A disk that stalls for a second would end the window before its first letter.
    monkeypatch.setattr(send_gate, "monotonic", lambda: 0.0)
    with world.database.write() as connection:
        connection.execute(sa.update(t.lanes).values(rate=5, tokens=5, filled_at=NOON))
    for place in range(20):
        world.mail(world.person(f"p{place}"))
    one, two = world.claim(limit=10), world.other("two").claim(limit=10)
    assert len(one.ready) == len(two.ready) == 5
    taken: list[OutgoingMail] = []
    for worker, chunk in (("one", one), ("two", two)):
        mails = SendGate(world.database, world.other(worker).delivery, chunk)
        taken += list(mails.mails())
        mails.close()
    assert len(taken) == 5


# ---- templates -------------------------------------------------------------------------------------------


def test_a_missing_value_skips_that_mail_alone(database: Database) -> None:
    missing = a_measure("customer/any/missing")
    world = World(database, a_playbook(a_measure(), missing))
    ada = world.person()
    number, good = world.mail(ada, missing.path, mailing=True), world.mail(ada)
    counts = world.deliver()
    assert (counts["skipped"], counts["sent"]) == (1, 1)
    assert world.status(number) == ("skipped", "template_value")
    verdict = decode(world.message(number).verdict)
    assert (verdict["action"], verdict["reason"]) == ("skip", "template_value")
    assert "first_name is missing" in read_checks(world.message(number).verdict)[-1]["detail"]
    assert world.status(good)[0] == "sent"
    assert world.contact(ada).wake_at == NOON


def test_a_broken_template_pauses_its_measure_and_nothing_else(database: Database) -> None:
    broken = a_measure("customer/any/broken")
    world = World(database, a_playbook(a_measure(), broken))
    numbers = [world.mail(world.person(f"p{place}"), broken.path) for place in range(3)]
    good = world.mail(world.person("ada"))
    counts = world.deliver()
    assert counts["sent"] == 1
    assert world.status(good)[0] == "sent"
    assert {world.status(number)[0] for number in numbers} == {"waiting"}
    with world.database.read() as connection:
        switch = connection.execute(sa.select(t.switches)).one()
    assert (switch.name, switch.paused, switch.actor) == (broken.path, True, "deliver")
    assert "offer.en.mjml:3" in switch.reason
    world.deliver()
    assert {world.status(number) for number in numbers} == {("waiting", "paused")}
    assert world.switch(broken.path, paused=False) == 3


# ---- what stopped workers leave behind -------------------------------------------------------------------


def test_a_lease_that_lapses_before_the_send_gate_frees_the_mail(world: World) -> None:
    number = world.mail(world.person())
    world.claim()
    world.later(2 * MINUTE - SECOND)
    assert world.recover()["freed"] == 0
    world.later(SECOND)
    assert world.recover()["freed"] == 1
    assert world.status(number) == ("waiting", "lease_lapsed")
    assert world.other("two").deliver()["sent"] == 1


def killed_on_the_wire(world: World) -> OutgoingMail:
    """Pass both gates and stop there, as a killed process would."""
    gate = SendGate(world.database, world.delivery, world.claim())
    return next(gate.mails())


def test_a_worker_killed_on_the_wire_leaves_its_mail_in_doubt(world: World) -> None:
    ada = world.person()
    number = world.mail(ada, mailing=True)
    killed_on_the_wire(world)
    assert world.status(number)[0] == "on_wire"
    world.later(12 * MINUTE - SECOND)
    assert world.recover()["in_doubt"] == 0
    world.later(SECOND)
    assert world.recover()["in_doubt"] == 1
    assert world.status(number) == ("in_doubt", "in_doubt")
    assert world.message(number).sent_at == NOON
    assert world.attempts() == [(number, 1, "in_doubt")]
    assert world.contact(ada).wake_at == world.clock.now()
    assert world.recover()["in_doubt"] == 0
    assert not world.other("two").deliver()


def test_a_receipt_whose_worker_was_killed_goes_again_with_the_same_bytes(world: World) -> None:
    number = world.mail(world.person(), RECEIPT.path)
    mail = killed_on_the_wire(world)
    world.later(12 * MINUTE)
    assert world.recover()["in_doubt"] == 1
    world.later(10 * MINUTE)
    assert world.recover()["retried"] == 1
    post = Post()
    world.other("two").deliver(post)
    assert world.status(number)[0] == "sent"
    assert (post.taken[0].data, post.taken[0].attempt) == (mail.data, 2)
    assert [attempt[1:] for attempt in world.attempts()] == [(1, "in_doubt"), (2, "sent")]


def test_mails_that_the_transport_never_began_go_back(world: World) -> None:
    for place in range(5):
        world.mail(world.person(f"p{place}"))

    class Stopping(Post):
        """Breaks off after one letter."""

        def send(self, mails: Any) -> Any:
            mail = next(iter(mails))
            self.taken.append(mail)
            yield outcome(mail)
            raise ConnectionError("the wire was cut")

    with pytest.raises(ConnectionError):
        world.deliver(Stopping())
    with world.database.read() as connection:
        rows = connection.execute(sa.select(t.messages.c.status, t.messages.c.reason)).all()
    assert sorted(tuple(row) for row in rows) == [("sent", "")] + [("waiting", "not_begun")] * 4


def test_late_evidence_settles_a_doubt(world: World) -> None:
    number = world.mail(world.person())

    class Slow(Post):
        """Hears the answer after its lease has lapsed and others have given it up."""

        def send(self, mails: Any) -> Any:
            for mail in mails:
                world.later(13 * MINUTE)
                world.recover()
                assert world.status(number) == ("in_doubt", "in_doubt")
                yield outcome(mail)

    assert world.deliver(Slow())["sent"] == 1
    assert world.status(number) == ("sent", "")


@pytest.mark.parametrize(("status", "reason"), [("sent", ""), ("failed", "hard_bounce")])
def test_a_report_from_outside_settles_a_doubt(world: World, status: Any, reason: str) -> None:
    ada = world.person()
    number = world.mail(ada, RECEIPT.path, mailing=True)
    world.deliver(answering("in_doubt", stage="dot"))
    report = {"message_id": number, "status": status, "reason": reason, "now": world.clock.now()}
    assert world.database.run(lambda connection: settle_by_evidence(connection, **report))
    assert world.status(number) == (status, reason)
    assert world.contact(ada).wake_at == NOON
    assert not world.database.run(lambda connection: settle_by_evidence(connection, **report))
    world.later(HOUR)
    assert world.recover()["retried"] == 0


def test_a_late_bounce_makes_a_sent_mail_failed_and_a_waiting_one_stays(world: World) -> None:
    ada = world.person()
    sent, waiting = world.mail(ada), world.mail(ada, run_key="2", due_at=NOON + DAY)
    world.deliver()
    for number in (sent, waiting, 999):
        report = {"message_id": number, "status": "failed", "reason": "hard_bounce", "now": NOON}
        world.database.run(lambda connection, report=report: settle_by_evidence(connection, **report))  # type: ignore[misc]
    assert world.status(sent) == ("failed", "hard_bounce")
    assert world.status(waiting) == ("waiting", "")


# ---- conservation ----------------------------------------------------------------------------------------


def test_every_planned_mail_is_counted_in_exactly_one_column(world: World) -> None:
    results = iter(["sent", "failed", "in_doubt", "retry"])
    for place in range(4):
        world.mail(world.person(f"p{place}"))
    world.mail(world.person("q", consent=None))
    world.mail(world.person("r"), valid_until=NOON)
    world.mail(world.person("s"), run_status="stopped")
    world.deliver(Post(lambda mail: outcome(mail, next(results), stage="dot")))
    world.mail(world.person("t"), RECEIPT.path)
    with world.database.read() as connection:
        rows = {row["measure"]: row for row in conservation(connection)}
        assert find_unexplained_mails(connection) == []
    assert rows[PATH] == {
        "measure": PATH,
        "planned": 7,
        "sent": 1,
        "skipped": 1,
        "cancelled": 1,
        "expired": 1,
        "failed": 1,
        "in_doubt": 1,
        "waiting": 1,
        "balanced": True,
    }
    assert rows[RECEIPT.path]["waiting"] == 1


def test_a_mail_that_conservation_cannot_explain_is_named(world: World) -> None:
    ada = world.person()
    world.mail(ada)
    with world.database.write() as connection:
        connection.execute(sa.update(t.runs).values(decided=encode(["offer", "reminder"])))
        connection.execute(sa.update(t.messages).values(step="other"))
    with world.database.read() as connection:
        (row,) = conservation(connection)
        found = {(row["step"], row["missing"]) for row in find_unexplained_mails(connection)}
    assert (row["planned"], row["waiting"], row["balanced"]) == (2, 1, False)
    assert found == {("offer", "message"), ("reminder", "message"), ("other", "run")}
