"""memory: the most that a process of each kind held in all that was measured in this run."""

from bench.stage import PEAKS, Figure

#: Processes that stay; a command may take what it needs while it runs, and is listed all the same.
_STAYING = ("nurture api", "nurture scheduler", "nurture up", "celery worker")


def measure() -> list[Figure]:
    """Return a figure for each kind of process that ran."""
    return [
        Figure("memory", f"`{kind}`, the most of any in this run", most, "MB", at_most=250, memory_mb=most)
        for kind, most in sorted(PEAKS.items(), key=lambda item: (item[0] not in _STAYING, item[0]))
        if most
    ]
