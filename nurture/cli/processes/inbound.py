"""`nurture inbound`: the process that receives mail over LMTP or SMTP."""

from typing import Annotated

import typer

from nurture.cli import output
from nurture.cli.context import load_workers
from nurture.domain.errors import SettingsError

#: Ports below 1024 need rights that this process should not have.
DEFAULT_LMTP = "127.0.0.1:2424"


def inbound(
    *,
    lmtp: Annotated[
        str, typer.Option(help="HOST:PORT to listen on for LMTP; empty: no LMTP.")
    ] = DEFAULT_LMTP,
    smtp: Annotated[str, typer.Option(help="HOST:PORT to listen on for SMTP; empty: no SMTP.")] = "",
) -> None:
    """Receive bounces, complaints and replies from Postfix or a provider's route. TERM stops it.

    Postfix: `transport_maps` with `mail.shop.example lmtp:inet:127.0.0.1:2424`. See docs/feedback.md.

    Example: nurture inbound --lmtp 127.0.0.1:2424
    """
    import asyncio

    from nurture.app.inbound import Inbound, require_inbound
    from nurture.app.installation import open_existing
    from nurture.runtime.log import start_logging
    from nurture.runtime.settings import load_settings
    from nurture.web.inbound_smtp import MailServer, serve

    listeners = [(_read_address(text), is_lmtp) for text, is_lmtp in ((lmtp, True), (smtp, False)) if text]
    if not listeners:
        raise SettingsError("there is nothing to listen on: add --lmtp HOST:PORT or --smtp HOST:PORT")
    settings = load_settings()
    start_logging(style=settings.log_format, level=settings.log_level)
    services = open_existing(settings, notifier=load_workers("notify").open_notifier(settings), pool_size=10)

    async def run() -> None:
        server = MailServer(Inbound(services), hostname=settings.bounce_address.rpartition("@")[2])
        for (host, port), is_lmtp in listeners:
            bound_port = await server.listen(host, port, lmtp=is_lmtp)
            output.print_notice(f"listening for {'LMTP' if is_lmtp else 'SMTP'} on {host}:{bound_port}")
        doing = ", ".join(
            f"{'LMTP' if is_lmtp else 'SMTP'} {host}:{port}" for (host, port), is_lmtp in listeners
        )
        with load_workers("heartbeat").Heartbeat(services, kind="inbound", doing=doing):
            await serve(server)

    try:
        require_inbound(services)
        asyncio.run(run())
    finally:
        services.close()


def _read_address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise SettingsError(f"{text!r}: write HOST:PORT, for example {DEFAULT_LMTP}")
    return host.strip("[]"), int(port)
