"""Celery and the scheduler: the background work of all rooms, in one process or in many.

`celery -A workers worker` finds `app` here. Everything in a message is an id; the truth is in the database, so
a lost message costs latency and nothing more (each worker process also looks by itself, `workers.poll`).
"""

from .application import app

__all__ = ["app"]
