"""`nurture scheduler`: start the periodic jobs of a production installation."""

from nurture.cli.context import load_workers


def scheduler() -> None:
    """Run a scheduler. Several may run at the same time; each job still runs once per slot.

    Example: nurture scheduler
    """
    from nurture.app.installation import open_existing
    from nurture.runtime.log import start_logging
    from nurture.runtime.settings import load_settings

    settings = load_settings()
    start_logging(style=settings.log_format, level=settings.log_level)
    services = open_existing(settings, notifier=load_workers("notify").open_notifier(settings))
    try:
        with load_workers("heartbeat").Heartbeat(services, kind="scheduler", doing="periodic jobs"):
            load_workers("scheduler").run_scheduler(services)
    finally:
        services.close()
