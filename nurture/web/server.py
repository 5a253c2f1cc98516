"""The HTTP server of a process: uvicorn with the settings that the application relies on."""

import signal
from typing import Any, NoReturn

import uvicorn
from fastapi import FastAPI

#: Clients of the ingestion API flush every few seconds; this keeps their connection open between two flushes.
KEEP_ALIVE_SECONDS = 65
#: How long a stopping process waits for open requests.
STOP_SECONDS = 10


def make_server(app: FastAPI, *, host: str, port: int) -> uvicorn.Server:
    """Return a server that is not yet running. URLs of the public pages are secrets: `AccessLog` logs requests."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        server_header=False,
        lifespan="on",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    return uvicorn.Server(config)


def run_until_stopped(server: uvicorn.Server) -> None:
    """Run the server until INT or TERM. After TERM it returns, so that the caller can end what else it began.

    uvicorn repeats the signal once it has stopped, and TERM would end the process then and there. Main thread only.
    """
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        server.run()
    except _Stopped:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


class _Stopped(BaseException):
    """The process was asked to end."""


def _stop(*_signal: Any) -> NoReturn:
    raise _Stopped
