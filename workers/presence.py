"""Tell whether any worker listens to the broker."""

from nurture.runtime.settings import Settings

from .application import app, configure

#: A worker that is not busy answers within milliseconds.
_WAIT_SECONDS = 1.0


def has_worker(settings: Settings) -> bool | None:
    """Return whether a worker answers; None when the broker cannot be asked."""
    configure(settings)
    try:
        return bool(app.control.ping(timeout=_WAIT_SECONDS))
    except Exception:  # noqa: BLE001 - the broker is away: a hint is not worth an error
        return None
