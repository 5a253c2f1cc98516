"""Whatever is due and whatever becomes of it: caps and gaps are kept, steps keep their order, nothing is lost."""

from collections import Counter
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from nurture.delivery.chunk_scope import ChunkScope
from nurture.delivery.claim import guard_messages
from nurture.delivery.load_guard_input import ContactFamily, GuardItem
from nurture.domain.contact import Run
from nurture.domain.guard.caps import LedgerEntry
from nurture.domain.instant import DAY, HOUR, Instant
from nurture.domain.measure import MailStep, Measure
from nurture.domain.message import Status
from nurture.domain.playbook import Cap, Playbook
from tests.delivery.builders import NOON, a_contact, a_due, a_measure, a_playbook
from tests.rig.examples import examples

CAPS = (
    Cap("sales", frozenset({"sales"}), at_most=1, within=14 * DAY, count="mails"),
    Cap("nurture", frozenset({"nurture", "sales"}), at_most=2, within=7 * DAY, gap=12 * HOUR),
    Cap("survey", frozenset({"survey"}), at_most=1, within=45 * DAY),
)
STEPS = tuple(MailStep(f"step{place}", "mail") for place in range(3))


@dataclass(frozen=True)
class Planned:
    """A mail that comes to be due."""

    measure: int
    step: int
    after: Instant
    # The outcome once it has left the guard.
    result: Status


def measures(purposes: list[str], priorities: list[int]) -> list[Measure]:
    return [
        a_measure(
            f"customer/any/m{place}",
            purpose=purpose,
            topic="offers" if purpose not in ("service", "transactional") else None,
            steps=STEPS,
            priority=priority,
            valid_for=60 * DAY,
        )
        for place, (purpose, priority) in enumerate(zip(purposes, priorities, strict=True))
    ]


plans = st.lists(
    st.builds(
        Planned,
        measure=st.integers(0, 3),
        step=st.integers(0, 2),
        after=st.integers(0, 40 * 24).map(lambda hours: hours * HOUR),
        result=st.sampled_from(["sent", "sent", "sent", "in_doubt", "failed", "waiting"]),
    ),
    max_size=14,
    unique_by=lambda plan: (plan.measure, plan.step),
)


def live(
    playbook: Playbook, chosen: list[Measure], plan: list[Planned]
) -> tuple[list[LedgerEntry], Counter[str]]:
    """Let one person live through the plan, an hour at a time; return what left, and the counts of all ends."""
    family = ContactFamily(a_contact(), (1,), "ada@example.com", False, 0, consents={"offers": "granted"})
    waiting: dict[int, GuardItem] = {}
    left: list[LedgerEntry] = []
    ends: Counter[str] = Counter()
    # Ids follow the order of steps, as they do when a run decides one after the other.
    for number, mail in enumerate(sorted(plan, key=lambda planned: (planned.step, planned.measure)), start=1):
        measure = chosen[mail.measure]
        due = a_due(
            number,
            measure.path,
            step=f"step{mail.step}",
            purpose=measure.purpose,
            topic=measure.topic,
            priority=measure.priority,
            due_at=NOON + mail.after,
            valid_until=NOON + mail.after + measure.valid_for,
        )
        run = Run(measure.path, "", "", "customer", NOON, due.step, NOON, status="done", decided=[due.step])
        waiting[number] = GuardItem(row=mail, due=due, family=family, measure=measure, run=run)
        family.ledger[number] = due.as_ledger_entry()
    for hour in range(110 * 24):
        now = NOON + hour * HOUR
        due_now = [item for item in waiting.values() if item.due.due_at <= now]
        for item, verdict in guard_messages(due_now, ChunkScope(playbook, now, {}, frozenset(), b"")):
            number = item.due.id
            if verdict.action == "defer":
                assert verdict.until is not None
                assert verdict.until > now
                item.due = replace(item.due, due_at=verdict.until, reason=verdict.reason)
                continue
            if verdict.action == "send" and item.row.result == "waiting":
                # Refused for now: it waits again, and the next time it goes.
                item.row = replace(item.row, result="sent")
                item.due = replace(item.due, due_at=now + HOUR)
                family.ledger[number] = item.due.as_ledger_entry()
                continue
            del waiting[number]
            ends[verdict.action] += 1
            if verdict.action == "send":
                entry = family.ledger[number] = replace(
                    family.ledger[number], status=item.row.result, counted_at=now
                )
                if item.row.result != "failed":
                    left.append(entry)
    ends["waiting"] = len(waiting)
    return left, ends


@settings(max_examples=examples(60), deadline=None)
@given(
    plans,
    st.lists(st.sampled_from(["sales", "nurture", "survey", "service"]), min_size=4, max_size=4),
    st.lists(st.integers(40, 60), min_size=4, max_size=4),
)
def test_caps_gaps_and_order_hold_whatever_happens(
    plan: list[Planned], purposes: list[str], priorities: list[int]
) -> None:
    chosen = measures(purposes, priorities)
    left, ends = live(a_playbook(*chosen, caps=CAPS), chosen, plan)
    assert sum(ends.values()) == len(plan)
    assert ends["waiting"] == 0
    for cap in CAPS:
        mails = sorted(
            (entry for entry in left if entry.purpose in cap.purposes), key=lambda entry: entry.counted_at
        )
        for place, mail in enumerate(mails):
            others = [other for other in mails[:place] if cap.count == "mails" or other.run != mail.run]
            window = [other for other in mails[:place] if mail.counted_at - other.counted_at < cap.within]
            if cap.count == "mails" or mail.run not in {other.run for other in window}:
                slots = {other.run if cap.count == "runs" else other.id for other in window}
                assert len(slots) < cap.at_most
            assert all(mail.counted_at - other.counted_at >= cap.gap for other in others)
    for measure in chosen:
        mine = sorted(
            (entry for entry in left if entry.measure == measure.path), key=lambda entry: entry.counted_at
        )
        assert [entry.id for entry in mine] == sorted(entry.id for entry in mine)
