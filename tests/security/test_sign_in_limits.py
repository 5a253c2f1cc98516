"""Attacks on the sign-in: wrong passwords of others shut nobody out who has the right one."""

from collections.abc import Callable

import httpx
import pytest

from nurture.app.accounts.sign_in_limits import LINK, WRONG_MAX, WRONG_MAX_ACCOUNT, SignInLimits
from nurture.app.doctor import examine
from nurture.app.services import Services
from nurture.domain.errors import NotFoundError
from nurture.runtime.clock import ManualClock
from nurture.web.console.login import DEVICE_COOKIE
from tests.security.people import PASSWORD, add_people, sign_in
from tests.web.live import NOW, a_service

OpenClient = Callable[[Services], httpx.Client]
ADMIN_PASSWORD = "the first of all passwords"
#: The only admins of an installation: by NURTURE_ADMIN_PASSWORD, and as an account.
ADMINS = pytest.mark.parametrize(("name", "password"), [("admin", ADMIN_PASSWORD), ("admins", PASSWORD)])


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def services(request: pytest.FixtureRequest, clock: ManualClock) -> Services:
    database = request.getfixturevalue("sqlite_database")
    made = a_service(database, clock=clock, base_url="http://mail.example.com", admin_password=ADMIN_PASSWORD)
    add_people(made, ["admin"])
    return made


@pytest.fixture
def client(services: Services, open_client: OpenClient) -> httpx.Client:
    return open_client(services)


def from_address(number: int) -> dict[str, str]:
    """Return the header by which a proxy on this machine tells a client's address."""
    return {"X-Forwarded-For": f"203.0.113.{number}"}


def guess(client: httpx.Client, name: str, *, times: int, addresses: int = 1) -> None:
    """Type wrong passwords in browsers of their own, from so many addresses."""
    for number in range(times):
        client.cookies.clear()
        answer = sign_in(client, name, "a guess, no more", headers=from_address(number % addresses))
        assert answer.status_code in (401, 429)
    client.cookies.clear()


@ADMINS
def test_wrong_passwords_from_elsewhere_do_not_lock_the_only_admin_out(
    client: httpx.Client, name: str, password: str
) -> None:
    guess(client, name, times=3 * WRONG_MAX)
    assert sign_in(client, name, password, headers=from_address(0)).status_code == 429
    assert sign_in(client, name, password, headers=from_address(9)).status_code == 303


@ADMINS
def test_a_known_browser_signs_in_whatever_others_typed_at_its_address(
    client: httpx.Client, name: str, password: str
) -> None:
    assert sign_in(client, name, password, headers=from_address(0)).status_code == 303
    known = client.cookies[DEVICE_COOKIE]
    guess(client, name, times=4 * WRONG_MAX)
    client.cookies.set(DEVICE_COOKIE, known)
    assert sign_in(client, name, password, headers=from_address(0)).status_code == 303


def test_a_known_browser_has_a_limit_of_its_own(client: httpx.Client) -> None:
    sign_in(client, "admins")
    known = client.cookies[DEVICE_COOKIE]
    answers = []
    for number in range(WRONG_MAX + 1):
        client.cookies.clear()
        client.cookies.set(DEVICE_COOKIE, known)
        answers.append(sign_in(client, "admins", "a guess", headers=from_address(number)).status_code)
    assert answers == [401] * WRONG_MAX + [429]


def test_guesses_from_many_addresses_stop_at_new_browsers_and_unlock_lets_one_in(
    services: Services, client: httpx.Client, clock: ManualClock
) -> None:
    limits = SignInLimits(services)
    for number in range(WRONG_MAX_ACCOUNT):
        limits.count_attempt("admins", address=f"203.0.113.{number}", device="")
    assert sign_in(client, "admins", headers=from_address(200)).status_code == 429
    (found,) = [row for row in examine(services, replayed=0) if row["check"] == "sign-in"]
    assert "nurture access user unlock admins" in found["detail"]
    unlocked = limits.unlock("Admins", actor="cli:test")
    assert limits.find_locked() == []
    # The guessing goes on: the browser that opened the link is let in all the same, for an hour, with the password.
    for number in range(WRONG_MAX_ACCOUNT):
        limits.count_attempt("admins", address=f"203.0.113.{number}", device="")
    client.get(unlocked["link"].removeprefix(services.settings.public_url))
    link = client.cookies[DEVICE_COOKIE]
    assert sign_in(client, "admins", "a guess").status_code == 401
    assert sign_in(client, "admins").status_code == 303
    client.cookies.clear()
    clock.advance_to(clock.now() + LINK)
    client.get("/login", params={"device": link})
    assert DEVICE_COOKIE not in client.cookies


def test_a_browser_is_known_for_its_own_account_alone(services: Services, client: httpx.Client) -> None:
    limits = SignInLimits(services)
    guess(client, "admin", times=WRONG_MAX)
    for device in (limits.make_device("admins"), limits.make_device("admin")[:-2], "nonsense"):
        client.cookies.clear()
        client.cookies.set(DEVICE_COOKIE, device)
        assert sign_in(client, "admin", ADMIN_PASSWORD, headers=from_address(0)).status_code == 429


def test_unlock_names_an_unknown_user(services: Services) -> None:
    with pytest.raises(NotFoundError, match="access user list"):
        SignInLimits(services).unlock("nobody", actor="cli:test")
