"""Outgoing hooks: events posted to the addresses of EVENT_HOOKS; list them, show one, try again."""

from typing import Any

import sqlalchemy as sa

from nurture.app.services import Services
from nurture.database.audit import record
from nurture.domain.counts import Counts
from nurture.domain.errors import NotFoundError
from nurture.domain.instant import Instant, to_iso
from nurture.feedback import hook_queries
from nurture.feedback.hooks import HookSettings, send_posts
from nurture.reports.metrics import count
from nurture.runtime.settings import Settings
from nurture.transports.http import Poster
from nurture.transports.standard_webhooks import name_target

#: Name of the counters.
ROOM = "hooks"


def target_names(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Return event -> the names of its addresses; the addresses themselves may hold secrets."""
    return {name: tuple(map(name_target, urls)) for name, urls in settings.event_hooks.items()}


def send_hooks(services: Services, *, poster: Poster | None = None) -> Counts:
    """Send one batch of due posts; returns `more` alone, the rest is counted under a name of its own."""
    settings = services.settings
    if not settings.event_hooks:
        return Counts()
    secrets = [secret.get_secret_value() for secret in settings.hook_secrets]
    hooks = HookSettings(settings.event_hooks, secrets)
    poster = poster or Poster(hosts=settings.hook_hosts)
    done = send_posts(services.database, poster, hooks, clock=services.clock)
    count(ROOM, done)
    counts = Counts()
    counts.more = done.more
    return counts


# ---- for operators ---------------------------------------------------------------------------------------


def list_targets(services: Services) -> list[dict[str, Any]]:
    """Return the addresses of the settings, and the number of posts to each by state."""
    names: dict[str, list[str]] = {}
    for event, targets in target_names(services.settings).items():
        for target in targets:
            names.setdefault(target, []).append(event)
    with services.database.read() as connection:
        rows = hook_queries.count_posts(connection)
    found: dict[str, dict[str, Any]] = {
        target: {
            "target": target,
            "events": ", ".join(events),
            "waiting": 0,
            "sent": 0,
            "failed": 0,
            "last": None,
        }
        for target, events in names.items()
    }
    for row in rows:
        entry = found.setdefault(
            row.target,
            {"target": row.target, "events": "(off)", "waiting": 0, "sent": 0, "failed": 0, "last": None},
        )
        entry[row.state] = row.posts
        if row.state == hook_queries.SENT and row.last:
            entry["last"] = to_iso(row.last)
    return [found[target] for target in sorted(found)]


def list_posts(services: Services, *, state: str | None, limit: int) -> list[dict[str, Any]]:
    """Return posts, the newest first."""
    with services.database.read() as connection:
        return [_describe(row) for row in hook_queries.list_posts(connection, state=state, limit=limit)]


def show(services: Services, number: int) -> dict[str, Any]:
    """Return one post. Raises NotFoundError."""
    with services.database.read() as connection:
        row = hook_queries.load_post(connection, number)
    if row is None:
        raise NotFoundError(f"there is no post {number}; list them with: nurture hooks list --posts")
    return _describe(row)


def try_again(services: Services, numbers: list[int] | None, *, actor: str) -> dict[str, int]:
    """Let these posts, or (None) all failed ones, be sent now, audited."""
    now = services.clock.now()

    def work(connection: sa.Connection) -> dict[str, int]:
        done = {"posts": hook_queries.retry_posts(connection, numbers, now=now)}
        record(connection, at=now, actor=actor, action="hooks.retry", detail=done)
        return done

    return services.database.run(work)


def find_failed(services: Services) -> list[str]:
    """Return a line for each address whose posts were given up."""
    return [
        f"{entry['failed']} posts to {entry['target']} were given up; nurture hooks list --state failed, "
        "then nurture hooks retry --failed"
        for entry in list_targets(services)
        if entry["failed"]
    ]


def _describe(row: Any) -> dict[str, Any]:
    return {
        "post": row.id,
        "event": row.name,
        "contact": row.contact_id,
        "target": row.target,
        "state": row.state,
        "attempts": row.attempts,
        "created": to_iso(row.created_at),
        "due": to_iso(row.due_at) if row.state == hook_queries.WAITING else None,
        "settled": _iso(row.settled_at),
        "reply": row.reply,
    }


def _iso(at: Instant | None) -> str | None:
    return None if at is None else to_iso(at)
