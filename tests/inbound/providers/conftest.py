"""One live server for all tests of webhooks; each test puts its own application on stage."""

from collections.abc import Iterator

import pytest

from tests.web.live import Theatre, running


@pytest.fixture(scope="session")
def stage() -> Iterator[tuple[Theatre, str]]:
    """Give the stage and the URL of its server."""
    stage = Theatre()
    with running(stage) as url:
        yield stage, url
