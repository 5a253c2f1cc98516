"""The HTTP server of a process: uvicorn around the application, with the settings that its pages rely on."""

import uvicorn
from fastapi import FastAPI

#: Clients of the ingestion API keep their connection; a minute spares them a new one for every flush.
KEEP_ALIVE_SECONDS = 65
#: How long a stopping process waits for the requests under way.
STOP_SECONDS = 10


def make_server(app: FastAPI, *, host: str, port: int) -> uvicorn.Server:
    """Return a server, not yet running. It logs no addresses: those of the public pages are secrets."""
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
