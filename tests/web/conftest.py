"""One live server for all tests of pages; each test puts its own application on stage."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from nurture.app.services import Services
from nurture.web import create_app
from tests.cli.shell import nurture
from tests.web.live import Theatre, running

__all__ = ["nurture"]


@pytest.fixture(scope="session")
def stage() -> Iterator[tuple[Theatre, str]]:
    """Give the stage and the URL of its server."""
    stage = Theatre()
    with running(stage) as url:
        yield stage, url


@pytest.fixture
def open_browser(stage: tuple[Theatre, str]) -> Iterator[Callable[[Services], httpx.Client]]:
    """Give a function from services to a client of their pages."""
    clients: list[httpx.Client] = []

    def open_client(services: Services) -> httpx.Client:
        stage[0].application = create_app(services)
        clients.append(httpx.Client(base_url=stage[1]))
        return clients[-1]

    yield open_client
    for client in clients:
        client.close()
