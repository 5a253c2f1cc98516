"""`nurture inbound`: the process that mail comes to."""

from typing import Annotated

import typer

from nurture.cli import output
from nurture.domain.errors import SettingsError

#: Ports up to this need rights that a process like ours should not have.
DEFAULT_LMTP = "127.0.0.1:2424"


def inbound(
    *,
    lmtp: Annotated[str, typer.Option(help="HOST:PORT to listen on for LMTP; empty: not.")] = DEFAULT_LMTP,
    smtp: Annotated[str, typer.Option(help="HOST:PORT to listen on for SMTP; empty: not.")] = "",
) -> None:
    """Take bounces, complaints and people's answers from Postfix or a provider's route. Stops on TERM.

    Postfix: `transport_maps` with `mail.shop.example lmtp:inet:127.0.0.1:2424`. See docs/feedback.md.

    Example: nurture inbound --lmtp 127.0.0.1:2424
    """
    import asyncio

    from nurture.app.inbound import Inbound, require_inbound
    from nurture.app.installation import open_existing
    from nurture.runtime.log import start_logging
    from nurture.runtime.settings import load_settings
    from nurture.web.inbound_smtp import MailServer, serve
    from workers.notify import open_bells

    doors = [(_address(text), is_lmtp) for text, is_lmtp in ((lmtp, True), (smtp, False)) if text]
    if not doors:
        raise SettingsError("nothing to listen on: give --lmtp HOST:PORT or --smtp HOST:PORT")
    settings = load_settings()
    start_logging(style=settings.log_format, level=settings.log_level)
    opened = open_existing(settings, bells=open_bells(settings), pool_size=10)

    async def run() -> None:
        server = MailServer(Inbound(opened), hostname=settings.bounce_address.rpartition("@")[2])
        for (host, port), is_lmtp in doors:
            taken = await server.listen(host, port, lmtp=is_lmtp)
            output.note(f"listening for {'LMTP' if is_lmtp else 'SMTP'} on {host}:{taken}")
        await serve(server)

    try:
        require_inbound(opened)
        asyncio.run(run())
    finally:
        opened.close()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise SettingsError(f"{text!r}: write HOST:PORT, for example {DEFAULT_LMTP}")
    return host.strip("[]"), int(port)
