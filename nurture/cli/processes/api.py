"""`nurture api`: the HTTP process of a production installation."""

from nurture.cli.context import Port, load_workers


def api(*, port: Port = None) -> None:
    """Run the HTTP process of a production installation.

    Example: NURTURE_HTTP_HOST=0.0.0.0 nurture api --port 8025
    """
    from nurture.app.installation import open_existing
    from nurture.runtime import gc_tuning
    from nurture.runtime.log import start_logging
    from nurture.runtime.settings import load_settings
    from nurture.web.application import create_app
    from nurture.web.server import make_server, run_until_stopped

    settings = load_settings(http_port=port)
    start_logging(style=settings.log_format, level=settings.log_level)
    services = open_existing(
        settings, notifier=load_workers("notify").open_notifier(settings), serves=True, pool_size=10
    )
    try:
        server = make_server(create_app(services), host=settings.http_host, port=settings.http_port)
        gc_tuning.settle()
        address = f"http://{settings.http_host}:{settings.http_port}"
        with load_workers("heartbeat").Heartbeat(services, kind="api", doing=address):
            run_until_stopped(server)
    finally:
        services.close()
