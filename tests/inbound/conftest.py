"""An office whose mail goes to a sink and comes in at a server, both on loopback."""

from collections.abc import Iterator

import pytest

from tests.inbound.office import Office, Post, an_office, listening
from tests.rig.smtp import SmtpSink


@pytest.fixture(params=["sqlite", "postgresql"])
def office(request: pytest.FixtureRequest, smtp_sink: SmtpSink) -> Iterator[Office]:
    """Give an office, once on each database."""
    made = an_office(request.getfixturevalue(f"{request.param}_database"), smtp_sink)
    yield made
    made.end()


@pytest.fixture
def post(office: Office) -> Iterator[Post]:
    """Give who hands mail in."""
    with listening(office.services) as post:
        yield post
