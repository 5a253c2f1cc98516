"""The tasks: each clears the mark of its notification, then runs its room's loop. A message carries ids, never more.

One exception: `nurture.hand_in`, through which another Celery application hands in events. Until it has run,
what it carries is only in the broker and may be lost with it; HTTP is the durable way.
"""

from typing import Any

from nurture.database.notifications import ADVANCE, ALL, DELIVER, FEEDBACK, INBOX, MEASUREMENT

from . import loops
from .application import DELIVERY_SECONDS_MAX, app
from .context import here


@app.task(name="nurture.inbox.drain")
def drain_shard(shard: str) -> None:
    """Apply the events pending in one shard, or in `all` of them."""
    here().notifier.clear(INBOX, shard)
    loops.apply(here(), None if shard == ALL else int(shard))


@app.task(name="nurture.advance.wake")
def wake_contacts() -> None:
    """Ring due alarms."""
    here().notifier.clear(ADVANCE, "")
    loops.wake(here())


@app.task(
    name="nurture.deliver.send",
    soft_time_limit=DELIVERY_SECONDS_MAX - 60,
    time_limit=DELIVERY_SECONDS_MAX,
)
def send_lane(lane: str) -> None:
    """Deliver due messages of one lane, or of `all` lanes, after recovering those of lost workers."""
    here().notifier.clear(DELIVER, lane)
    loops.recover_now_and_then(here())
    loops.send(here(), lane)


@app.task(
    name="nurture.feedback.judge",
    soft_time_limit=DELIVERY_SECONDS_MAX - 60,
    time_limit=DELIVERY_SECONDS_MAX,
)
def judge_clicks() -> None:
    """Judge the clicks on mails as a person's or a machine's, then process reports and replies."""
    here().notifier.clear(FEEDBACK, "")
    loops.judge(here())
    loops.feedback(here())


@app.task(name="nurture.measurement.judge")
def judge_measures() -> None:
    """Judge all measures, once a day."""
    here().notifier.clear(MEASUREMENT, "")
    loops.measure(here())


@app.task(name="nurture.hand_in")
def hand_in(items: Any, source: str = "celery") -> None:
    """Accept events in the item shape of Segment's API: a list of {"type", "userId", "event", ...}.

    Any Celery application on the same broker may call it by name:
    `app.send_task("nurture.hand_in", [[{"type": "track", "userId": "7", "event": "Order Completed",
    "messageId": "order-7", "properties": {...}}]], queue="inbox")`. With a `messageId` it may be sent twice.
    """
    loops.hand_in(here(), items, source)
