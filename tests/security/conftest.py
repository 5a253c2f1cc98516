"""Fixtures of the security tests: a live installation with people and keys."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from nurture.app.services import Services
from nurture.web import create_app
from tests.cli.shell import nurture
from tests.rig import databases
from tests.security.people import add_keys, add_people
from tests.web.live import Theatre, a_service, running

__all__ = ["nurture"]


@pytest.fixture(scope="module")
def house(
    sqlite_template: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Services, str, dict[str, str]]]:
    """Give services with users and keys, the URL of their live server, and the keys by scope."""
    with (
        databases.sqlite_copy(sqlite_template, tmp_path_factory.mktemp("house")) as url,  # type: ignore[arg-type]
        databases.opened(url) as database,
    ):
        services = a_service(database, base_url="http://mail.example.com", admin_password="first of all")
        add_people(services)
        keys = add_keys(services)
        with running(create_app(services)) as address:
            yield services, address, keys


@pytest.fixture
def client(house: tuple[Services, str, dict[str, str]]) -> Iterator[httpx.Client]:
    """Give a client that has not signed in."""
    with httpx.Client(base_url=house[1]) as client:
        yield client


@pytest.fixture(scope="session")
def stage() -> Iterator[tuple[Theatre, str]]:
    """Give the stage and the URL of its server."""
    stage = Theatre()
    with running(stage) as url:
        yield stage, url


@pytest.fixture
def open_client(stage: tuple[Theatre, str]) -> Iterator[Callable[[Services], httpx.Client]]:
    """Give a function from services to a client of their pages."""
    with ExitStack() as clients:

        def open_for(services: Services) -> httpx.Client:
            stage[0].application = create_app(services)
            return clients.enter_context(httpx.Client(base_url=stage[1], timeout=30))

        yield open_for
