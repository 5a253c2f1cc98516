"""Start and end of a worker process: its context, its poll threads, its metrics port.

With the prefork pool that is every child, and never the parent; with threads it is the one process. An
embedded run brings its own context and threads, and is left alone here.
"""

import os
import socket
import sys
from threading import Thread
from typing import Any

import prometheus_client
from billiard.process import current_process
from celery import signals
from celery.concurrency import get_implementation

from nurture.app.installation import open_existing
from nurture.app.previews import warm_templates
from nurture.delivery.journal.writer import require_folder
from nurture.domain.errors import SettingsError
from nurture.reports.metrics import counter_registry, share_counters
from nurture.runtime.clock import pause
from nurture.runtime.log import get_logger
from nurture.runtime.settings import load_settings

from . import context
from .application import app
from .heartbeat import Heartbeat
from .poll import Look, Poller, look_at_mail, look_at_state

#: Pools that tell of each of their processes; the others run in the worker's own.
_TELLING_POOLS = {"celery.concurrency.prefork", "celery.concurrency.solo"}
#: Task -> the look of the poll threads that does the same.
_LOOKS: dict[str, Look] = {
    "nurture.inbox.drain": look_at_state,
    "nurture.advance.wake": look_at_state,
    "nurture.deliver.send": look_at_mail,
}
_pollers: dict[int, Poller] = {}
_heartbeats: dict[int, Heartbeat] = {}
#: How long a process waits before it tries again to open what it needs.
_REOPEN_SECONDS = 5.0
_log = get_logger("lifecycle")


def begin() -> None:
    """Start looking for work in this process."""
    poller = Poller(who=f"{socket.gethostname()}:{os.getpid()}")
    _pollers.clear()
    _heartbeats.clear()
    _pollers[os.getpid()] = poller
    poller.start()
    # In a thread of its own, so that the start does not wait for it.
    Thread(target=_warm, args=(poller,), name="warm", daemon=True).start()


def _warm(poller: Poller) -> None:
    """Open what the first task would otherwise open, and begin to write the row of this process.

    That is the database, the programme, and the mails that cannot wait.
    """
    while _pollers.get(os.getpid()) is poller and os.getpid() not in _heartbeats:
        try:
            queues = ", ".join(app.amqp.queues.consume_from)
            heartbeat = context.start_heartbeat(context.here(), kind="worker", doing=f"queues {queues}")
            _heartbeats[os.getpid()] = heartbeat
        except Exception:  # noqa: BLE001 - the database may be away; the row is written when it is back
            pause(_REOPEN_SECONDS)
    try:
        warm_templates(context.here().services)
    except Exception:  # noqa: BLE001 - the first task meets the same, and says so where it matters
        _log.info("not warmed up; the first task opens what it needs", exc_info=True)


def end() -> None:
    """Stop the poll threads after their present batch, then close every connection."""
    poller = _pollers.pop(os.getpid(), None)
    if poller is None:
        return
    poller.stop()
    heartbeat = _heartbeats.pop(os.getpid(), None)
    if heartbeat is not None:
        heartbeat.stop()
    if context.known():
        context.here().close()
        context.use(None)


@signals.worker_init.connect
def _worker_begins(sender: Any, **_signal: Any) -> None:
    if context.known():
        return
    try:
        open_existing().close()
        require_folder(load_settings().journal_folder)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from error
    worker = os.getpid()
    # A child is named by its place in the pool; its replacement takes the name over.
    share_counters(lambda: f"{worker}-{getattr(current_process(), 'index', 'parent')}")
    port = load_settings().metrics_port
    if port:
        prometheus_client.start_http_server(port, addr="0.0.0.0", registry=counter_registry())  # noqa: S104 - asked for
    if get_implementation(sender.pool_cls).__module__ not in _TELLING_POOLS:
        begin()


@signals.worker_process_init.connect
def _child_begins(**_signal: Any) -> None:
    begin()


@signals.worker_process_shutdown.connect
def _child_ends(**_signal: Any) -> None:
    end()


@signals.worker_shutdown.connect
def _worker_ends(**_signal: Any) -> None:
    end()


@signals.task_prerun.connect
def _called(sender: Any, **_signal: Any) -> None:
    poller, look = _pollers.get(os.getpid()), _LOOKS.get(sender.name)
    if poller and look:
        poller.called(look.__name__)


@signals.task_postrun.connect
def _returned(sender: Any, **_signal: Any) -> None:
    poller, look = _pollers.get(os.getpid()), _LOOKS.get(sender.name)
    if poller and look:
        poller.returned(look.__name__)
