"""Fixtures for the pytest files of a programme: `programme`, and `start_programme` for one with other options.

`nurture test` loads it. To run pytest yourself: `pytest -p nurture.testing.plugin --programme DIR DIR/tests`.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from nurture.playbook import LoadedPlaybook
from nurture.playbook.load import TESTS
from nurture.testing.programme import TestProgramme, load_programme


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this plugin."""
    group = parser.getgroup("nurture")
    group.addoption("--programme", default=".", help="The programme's folder.")
    group.addoption("--update-golden", action="store_true", help="Write golden mails; compare nothing.")


@pytest.fixture(scope="session")
def loaded_programme(request: pytest.FixtureRequest) -> LoadedPlaybook:
    """Return the programme, built and checked once."""
    return load_programme(Path(request.config.getoption("--programme")))


@pytest.fixture
def start_programme(
    request: pytest.FixtureRequest, loaded_programme: LoadedPlaybook
) -> Iterator[Callable[..., TestProgramme]]:
    """Give a function that starts a test of the programme; its options are those of `TestProgramme`."""
    golden = Path(request.config.getoption("--programme")) / TESTS / "golden"
    with ExitStack() as stack:

        def start(**options: Any) -> TestProgramme:
            options.setdefault("update_golden", request.config.getoption("--update-golden"))
            return stack.enter_context(TestProgramme(loaded_programme, golden=golden, **options))

        yield start


@pytest.fixture
def programme(start_programme: Callable[..., TestProgramme]) -> TestProgramme:
    """Return a test of the programme that starts on a Monday at ten."""
    return start_programme()
