"""The Celery application and every setting of it, each with its reason."""

import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from celery import Celery, signals

from nurture.database.notifications import INBOX
from nurture.domain.errors import SettingsError
from nurture.runtime.log import start_logging
from nurture.runtime.settings import Settings, load_settings

from .queues import QUEUES, ROUTES

#: For how long a task drains before it notifies its queue again and ends, in seconds.
DRAIN_SECONDS = 20.0
#: A task that takes longer than this hangs; deliveries may wait for slow servers.
TASK_SECONDS_MAX = 90
DELIVERY_SECONDS_MAX = 720
#: A notification that no worker took in this time is discarded: the poll threads have looked meanwhile.
NOTIFICATION_SECONDS_MAX = 60


def configuration(settings: Settings) -> dict[str, Any]:
    """Return Celery's configuration for these settings."""
    memory = settings.broker_url.startswith("memory:")
    return {
        # Without a host Celery warns that there is none.
        "broker_url": "memory://localhost/" if memory else settings.broker_url,
        # A worker starts, and polls, also while the broker is away.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_connection_timeout": 2.0,
        # In memory a message is looked for as often as it may be late; Redis pushes. Silence is told soon.
        "broker_transport_options": {"polling_interval": 0.02}
        if memory
        else {"socket_connect_timeout": 2.0, "socket_keepalive": True},
        # Publishing never waits for a broker that is away: the poll threads find the row.
        "task_publish_retry": False,
        # Messages are ids from ourselves and events from applications: data, never code.
        "task_serializer": "json",
        "accept_content": ["json"],
        # The database is the truth; nobody reads a result.
        "task_ignore_result": True,
        "result_backend": None,
        # A lost message is made good by the next look; one that comes twice finds nothing to do.
        "task_acks_late": False,
        "worker_prefetch_multiplier": 1,
        "task_queues": QUEUES,
        "task_routes": ROUTES,
        "task_default_queue": INBOX,
        "task_create_missing_queues": False,
        "task_soft_time_limit": None if memory else TASK_SECONDS_MAX - 30,
        "task_time_limit": None if memory else TASK_SECONDS_MAX,
        # Memory that libraries do not give back is given back by the process.
        "worker_max_tasks_per_child": 10_000,
        # After TERM running tasks may end; after that they are given this long.
        "worker_soft_shutdown_timeout": 30.0,
        "worker_hijack_root_logger": False,
        "worker_send_task_events": False,
        "worker_enable_remote_control": not memory,
        "enable_utc": True,
        "timezone": "UTC",
    }


def configure(settings: Settings) -> None:
    """Use these settings from now on, instead of those this process finds by itself."""
    wanted = configuration(settings)
    is_other_broker = app.conf.broker_url != wanted["broker_url"]
    app.conf.update(wanted)
    if is_other_broker:
        # Connections to the broker before are kept for sending; as after a fork, new ones are made.
        app._after_fork()  # type: ignore[attr-defined]  # noqa: SLF001 - Celery has no public name for it


def _found() -> dict[str, Any]:
    try:
        return configuration(load_settings())
    except SettingsError as error:
        # Celery's command line asked; it would show a traceback.
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from error


class _Application(Celery):
    """Celery with workers of our own."""

    @cached_property
    def Worker(self) -> type[Any]:  # noqa: N802 - Celery's name for it
        """Return the class of `celery -A workers worker`; only the worker's process imports it."""
        made: type[Any] = self.subclass_with_self("workers.worker:Worker")  # type: ignore[arg-type] # or its name
        return made


app = _Application("nurture", include=["workers.tasks", "workers.lifecycle"])
app.add_defaults(_found)


def run_worker(options: Sequence[str]) -> int:
    """Run `celery -A workers worker` with these options in this process, and return its exit code."""
    run: Callable[[list[str]], Any] = app.worker_main
    return int(run(["worker", *options]) or 0)


@signals.setup_logging.connect
def _set_up_logging(**_signal: Any) -> None:
    """Celery logs as everything else does."""
    settings = load_settings()
    start_logging(style=settings.log_format, level=settings.log_level)
