"""Users and API keys: signing in, sessions, roles, and how access ends at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from nurture.app.accounts import access
from nurture.app.accounts.sign_in_limits import WRONG_MAX, WRONG_MAX_ADDRESS, WRONG_WINDOW
from nurture.app.services import Services
from nurture.database.engine import Database
from nurture.database.schema import api_keys, audit, login_failures, metadata, sessions, users
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.instant import HOUR, MINUTE
from nurture.runtime.clock import ManualClock, pause
from nurture.web import create_app
from nurture.web.console.login import COOKIE, IDLE, SESSION
from tests.security.people import PASSWORD, add_people, form_token, sign_in, table
from tests.web.live import NOW, a_service, accepted, asking, running

OpenClient = Callable[[Services], httpx.Client]
ACTOR = "cli:test"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def services(request: pytest.FixtureRequest, clock: ManualClock) -> Services:
    """Give services with two users; on both databases where a test is marked so, else on SQLite."""
    fixture = "database" if "database" in request.fixturenames else "sqlite_database"
    made = a_service(request.getfixturevalue(fixture), clock=clock, base_url="http://mail.example.com")
    add_people(made, ["operator", "admin"])
    return made


on_both = pytest.mark.usefixtures("database")


@pytest.fixture
def client(services: Services, open_client: OpenClient) -> httpx.Client:
    return open_client(services)


def rows(database: Database, table: sa.Table) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(sa.select(table)))


def audited_actions(services: Services) -> list[tuple[str, str]]:
    return [(row.actor, row.action) for row in rows(services.database, audit)]


# ---- passwords -------------------------------------------------------------------------------------------


def test_of_a_password_only_its_argon2_hash_is_kept(services: Services) -> None:
    kept = [row.password for row in rows(services.database, users)]
    assert all(text.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for text in kept)
    assert len(set(kept)) == 2  # the same password, two salts


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("eve", "short"),
        ("eve", "aaaaaaaaaaaaaaaa"),
        ("eve-the-first", "i am eve-the-first"),
        ("eve", "x" * 2_000),
        ("admin", PASSWORD),
        ("a b", PASSWORD),
        ("", PASSWORD),
        ("operators", PASSWORD),
    ],
)
def test_an_invalid_user_is_refused_and_changes_nothing(services: Services, name: str, password: str) -> None:
    before = rows(services.database, users)
    with pytest.raises(InputError):
        access.add_user(services, name, role="viewer", password=password, actor=ACTOR)
    assert rows(services.database, users) == before


def test_unknown_users_and_roles_are_named(services: Services) -> None:
    with pytest.raises(NotFoundError, match="access user list"):
        access.set_password(services, "nobody", password=PASSWORD, actor=ACTOR)
    with pytest.raises(InputError, match="viewer, operator, admin"):
        access.set_role(services, "operators", role="king", actor=ACTOR)


def test_a_wrong_name_is_answered_like_a_wrong_password(client: httpx.Client) -> None:
    answers = [sign_in(client, name, "something else, long") for name in ("operators", "nobody", "admin")]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text.replace(answer.request.url.path, "") for answer in answers}) == 1


# ---- sessions --------------------------------------------------------------------------------------------


def test_nothing_in_the_database_opens_the_console(services: Services, client: httpx.Client) -> None:
    sign_in(client, "operators")
    (session,) = rows(services.database, sessions)
    assert client.get("/").status_code == 200
    client.cookies.clear()
    client.cookies.set(COOKIE, session.id)
    assert client.get("/").status_code == 303


@pytest.mark.parametrize(
    "change",
    [
        lambda services: access.set_password(services, "operators", password=PASSWORD * 2, actor=ACTOR),
        lambda services: access.disable(services, "operators", disabled=True, actor=ACTOR),
    ],
    ids=["a new password", "disabling"],
)
@on_both
def test_every_session_ends_at_once(
    services: Services, open_client: OpenClient, change: Callable[[Services], Any]
) -> None:
    client = open_client(services)
    sign_in(client, "operators")
    other = {"Cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
    with httpx.Client(base_url=client.base_url) as second:
        sign_in(second, "operators")
        change(services)
        assert second.get("/").status_code == 303
    assert client.get("/").status_code == 303
    assert open_client(services).get("/", headers=other).status_code == 303


def test_a_session_whose_epoch_passed_is_over_even_where_its_row_stayed(
    services: Services, client: httpx.Client
) -> None:
    sign_in(client, "operators")
    with services.database.write() as connection:
        connection.execute(sa.update(users).values(epoch=users.c.epoch + 1))
    assert client.get("/").status_code == 303


def test_a_disabled_user_cannot_sign_in_until_let_in_again(services: Services, client: httpx.Client) -> None:
    access.disable(services, "operators", disabled=True, actor=ACTOR)
    assert sign_in(client, "operators").status_code == 401
    access.disable(services, "operators", disabled=False, actor=ACTOR)
    assert sign_in(client, "operators").status_code == 303


def test_a_session_ends_when_it_is_not_used_and_after_half_a_day(
    services: Services, client: httpx.Client, clock: ManualClock
) -> None:
    sign_in(client, "operators")
    for _ in range(SESSION // HOUR - 1):
        clock.advance_to(clock.now() + HOUR)
        assert client.get("/").status_code == 200
    clock.advance_to(clock.now() + HOUR)
    assert client.get("/").status_code == 303
    sign_in(client, "operators")
    clock.advance_to(clock.now() + IDLE - MINUTE)
    assert client.get("/").status_code == 200
    clock.advance_to(clock.now() + IDLE)
    assert client.get("/").status_code == 303


def test_a_changed_role_applies_from_the_next_request(services: Services, client: httpx.Client) -> None:
    sign_in(client, "operators")
    assert client.get("/audit").status_code == 403
    access.set_role(services, "operators", role="admin", actor=ACTOR)
    assert client.get("/audit").status_code == 200
    access.set_role(services, "operators", role="viewer", actor=ACTOR)
    assert client.get("/audit").status_code == 403


@on_both
def test_a_user_ends_their_own_other_sessions_only(services: Services, open_client: OpenClient) -> None:
    client = open_client(services)
    sign_in(client, "operators")
    with httpx.Client(base_url=client.base_url) as other, httpx.Client(base_url=client.base_url) as admin:
        sign_in(other, "operators")
        sign_in(admin, "admins")
        client.post("/account/sessions", data={"form": form_token(client, "/account")})
        assert [browser.get("/").status_code for browser in (client, other, admin)] == [200, 303, 200]
        theirs = next(row.id for row in rows(services.database, sessions) if row.user_id == 2)
        client.post("/account/sessions", data={"form": form_token(client, "/account"), "session": theirs})
        assert admin.get("/").status_code == 200


def test_a_user_changes_their_password_with_the_old_one(services: Services, client: httpx.Client) -> None:
    sign_in(client, "operators")
    given = {"form": form_token(client, "/account"), "new": "another long password"}
    assert client.post("/account/password", data={**given, "password": "a guess"}).status_code == 400
    assert (
        client.post("/account/password", data={**given, "password": PASSWORD, "new": "short"}).status_code
        == 400
    )
    assert client.post("/account/password", data={**given, "password": PASSWORD}).status_code == 303
    assert client.get("/").status_code == 303
    assert sign_in(client, "operators").status_code == 401
    assert sign_in(client, "operators", "another long password").status_code == 303


def test_the_first_account_closes_the_open_console_for_good(
    database: Database, open_client: OpenClient
) -> None:
    services = a_service(database)
    client = open_client(services)
    assert client.get("/").status_code == 200
    add_people(services, ["operator"])
    access.disable(services, "operators", disabled=True, actor=ACTOR)
    assert client.get("/").status_code == 303


# ---- guessing --------------------------------------------------------------------------------------------


@on_both
def test_guesses_are_counted_together_by_all_processes(
    services: Services, open_client: OpenClient, clock: ManualClock
) -> None:
    clients = [open_client(services) for _ in range(2)]
    with running(create_app(services)) as url, httpx.Client(base_url=url) as other:
        statuses = [
            sign_in(browser, "operators", f"a guess, number {number}").status_code
            for number in range(WRONG_MAX // 2)
            for browser in (clients[0], other)
        ]
        assert statuses == [401] * WRONG_MAX
        assert [sign_in(browser, "operators").status_code for browser in (clients[1], other)] == [429, 429]
        assert ("console", "access.locked") in audited_actions(services)
        assert sign_in(other, "admins").status_code == 303
        clock.advance_to(clock.now() + WRONG_WINDOW)
        assert sign_in(clients[1], "operators").status_code == 303


def test_guesses_of_many_names_from_one_address_shut_it_out(services: Services, client: httpx.Client) -> None:
    statuses = [
        sign_in(client, f"name{number % 4}", "x" * 12).status_code for number in range(WRONG_MAX_ADDRESS)
    ]
    assert set(statuses) == {401}
    assert sign_in(client, "operators").status_code == 429


@on_both
def test_guesses_at_the_same_time_count_each_other(services: Services) -> None:
    with running(create_app(services)) as url:

        def guess(number: int) -> int:
            with httpx.Client(base_url=url, timeout=60) as one:
                return sign_in(one, "operators", f"a guess, number {number}").status_code

        with ThreadPoolExecutor(16) as pool:
            statuses = list(pool.map(guess, range(16)))
    assert sorted(statuses) == [401] * WRONG_MAX + [429] * (16 - WRONG_MAX)


@on_both
def test_a_right_password_resets_the_count_of_wrong_ones(services: Services, client: httpx.Client) -> None:
    for _ in range(2):
        for _ in range(WRONG_MAX - 1):
            sign_in(client, "operators", "a guess, no more")
        assert sign_in(client, "operators").status_code == 303
        client.cookies.clear()
    # The address and the account; the pair of both is forgotten.
    assert [row.failures for row in rows(services.database, login_failures)] == [2 * (WRONG_MAX - 1)] * 2


def test_no_name_and_no_address_of_a_guess_is_stored(services: Services, client: httpx.Client) -> None:
    sign_in(client, "ann@example.com", "a guess, no more")
    kept = str(rows(services.database, login_failures))
    assert "ann" not in kept
    assert "127.0.0.1" not in kept


# ---- forms -----------------------------------------------------------------------------------------------

FORMS = sorted({line.path for line in table() if line.method == "POST" and "viewer" in line.who} | {"/login"})


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("fault", ["no token", "another's token", "foreign origin", "cross-site"])
def test_a_form_from_elsewhere_does_nothing(house: Any, path: str, fault: str) -> None:
    _, url, _ = house
    with httpx.Client(base_url=url) as client, httpx.Client(base_url=url) as other:
        for browser, name in ((client, "viewers"), (other, "admins")):
            if path != "/login":
                sign_in(browser, name)
        page = "/login" if path == "/login" else "/account"
        token = {"no token": "", "another's token": form_token(other, page)}.get(
            fault, form_token(client, page)
        )
        headers = {
            "foreign origin": {"Origin": "https://evil.example"},
            "cross-site": {"Sec-Fetch-Site": "cross-site"},
        }
        given = {"form": token, "name": "viewers", "password": PASSWORD, "new": "another long password"}
        answer = client.post(path, data=given, headers=headers.get(fault, {}))
        assert answer.status_code == 403
        assert (client.get("/").status_code == 200) == (path != "/login")


# ---- keys ------------------------------------------------------------------------------------------------


def test_a_key_is_shown_once_and_kept_as_a_hash(services: Services) -> None:
    key = access.add_key(services, "shop", scopes=("ingest",), actor=ACTOR)["key"]
    assert len(key) > 40
    assert key not in str(access.list_keys(services))
    for stored in metadata.tables.values():
        assert key not in str(rows(services.database, stored))


@on_both
def test_a_key_sends_events_as_its_source_until_it_is_revoked(services: Services) -> None:
    made = access.add_key(services, "pos", scopes=("ingest",), actor=ACTOR)
    call = {"userId": "7", "event": "Order Completed", "messageId": "m-1"}
    with asking(services, auth=(made["key"], "")) as client:
        assert client.post("/v1/track", json=call).status_code == 200
        assert accepted(services.database)[0]["source"] == "pos"
        access.revoke_key(services, made["id"], actor=ACTOR)
        pause(2)
        assert client.post("/v1/track", json=call).status_code == 401
    assert rows(services.database, api_keys)[0].used_at == NOW
    with pytest.raises(NotFoundError):
        access.revoke_key(services, "00000000", actor=ACTOR)


@pytest.mark.parametrize(
    ("name", "scopes"), [("web", ("ingest",)), ("Shop", ("ingest",)), ("shop", ("all",)), ("shop", ())]
)
def test_an_invalid_key_is_refused(services: Services, name: str, scopes: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        access.add_key(services, name, scopes=scopes, actor=ACTOR)
    assert rows(services.database, api_keys) == []


def test_without_any_key_only_this_machine_sends_events(sqlite_database: Database) -> None:
    services = a_service(sqlite_database, write_keys=())
    call = {"userId": "7", "event": "Order Completed"}
    with asking(services) as client:
        assert client.post("/v1/track", json=call).status_code == 200
        assert (
            client.post("/v1/track", json=call, headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 401
        )
        key = access.add_key(services, "shop", scopes=("ingest",), actor=ACTOR)
        access.revoke_key(services, key["id"], actor=ACTOR)
        pause(2)
        assert client.post("/v1/track", json=call).status_code == 401


def test_keys_are_not_checked_while_the_database_is_down(services: Services) -> None:
    with asking(services, auth=("nk_unknown", "")) as client:
        with services.database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE api_keys RENAME TO away")
        answers = [
            client.post("/v1/track", json={}),
            client.put("/api/v1/customers/7", json={}),
            client.get("/metrics"),
        ]
    assert [answer.status_code for answer in answers] == [503] * 3


@on_both
def test_every_change_of_users_and_keys_is_in_the_audit_log(services: Services, client: httpx.Client) -> None:
    made = access.add_key(services, "shop", scopes=("ingest",), actor=ACTOR)
    access.revoke_key(services, made["id"], actor=ACTOR)
    access.set_role(services, "operators", role="viewer", actor=ACTOR)
    access.set_password(services, "operators", password=PASSWORD, actor=ACTOR)
    access.disable(services, "admins", disabled=True, actor=ACTOR)
    sign_in(client, "operators")
    client.post("/logout", data={"form": form_token(client, "/account")})
    assert audited_actions(services) == [
        *[(ACTOR, "access.user.add")] * 2,
        (ACTOR, "access.key.add"),
        (ACTOR, "access.key.revoke"),
        (ACTOR, "access.user.role"),
        (ACTOR, "access.user.password"),
        (ACTOR, "access.user.disable"),
        ("user:operators", "access.login"),
        ("user:operators", "access.logout"),
    ]
    assert PASSWORD not in str(rows(services.database, audit))
