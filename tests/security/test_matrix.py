"""Every route with every kind of visitor: routes.tsv lists the visitors who get through; others are refused."""

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from nurture.app.services import Services
from nurture.domain.access import ROLES, SCOPES
from nurture.web import create_app
from nurture.web.console.login import COOKIE
from tests.security.people import Line, form_token, routes, sign_in, table

House = tuple[Services, str, dict[str, str]]
EVERYBODY = ("nobody", *ROLES, *(f"key:{scope}" for scope in SCOPES), "write-key")


@pytest.fixture(scope="module")
def visitors(house: House) -> Iterator[dict[str, httpx.Client]]:
    """Give one client for each kind of visitor, with all credentials of that visitor."""
    _, url, keys = house
    with ExitStack() as stack:
        found = {name: stack.enter_context(httpx.Client(base_url=url)) for name in EVERYBODY}
        for role in ROLES:
            assert sign_in(found[role], f"{role}s").status_code == 303
            found[role].cookies.set("form", form_token(found[role], "/account"))
        for scope, key in keys.items():
            found[f"key:{scope}"].auth = (key, key)
        found["write-key"].auth = ("WK", "WK")
        yield found


def test_every_route_is_in_the_table(house: House) -> None:
    listed = {(line.method, line.path) for line in table()}
    assert set(routes(create_app(house[0]))) == listed, "name the route in routes.tsv"


def test_table_uses_its_own_words() -> None:
    words = {"anybody", "token", "signature", *EVERYBODY} - {"nobody"}
    assert {word for line in table() for word in line.who} <= words


@pytest.mark.parametrize("line", table(), ids=lambda line: f"{line.method} {line.asked or line.path}")
def test_each_visitor_reaches_exactly_the_routes_of_the_table(
    line: Line, visitors: dict[str, httpx.Client]
) -> None:
    got_in = {name for name, client in visitors.items() if not is_refused(line, ask(client, line))}
    assert got_in == expected(line)


def ask(client: httpx.Client, line: Line) -> httpx.Response:
    """Ask for a route; a person's form carries the token of their session, so that only the role decides."""
    given: dict[str, object] = {}
    if line.method in ("POST", "PUT", "DELETE"):
        token = client.cookies.get("form")
        given = {"data": {"form": token}} if token else {"content": b"{}"}
    if line.path in ("/logout", "/account/sessions"):
        # Their act would sign the visitor out of the rest of the table.
        given = {"data": {"form": "another session's"}}
    session = client.cookies.get(COOKIE)
    answer = client.request(line.method, line.sample, **given)  # type: ignore[arg-type]
    assert client.cookies.get(COOKIE) == session
    assert answer.status_code < 500, answer.text
    return answer


def is_refused(line: Line, answer: httpx.Response) -> bool:
    if "token" in line.who or "signature" in line.who:
        return answer.status_code in (401, 403, 404)
    if answer.headers.get("location", "").startswith("/login"):
        return True
    # An allowed visitor with an invalid form gets an error about the form, not about the role.
    form_faults = ("This form was not sent from", "Please sign in from this page")
    return answer.status_code in (401, 403) and not any(words in answer.text for words in form_faults)


def expected(line: Line) -> set[str]:
    """Return every visitor whom the table lets in."""
    if "anybody" in line.who:
        return set(EVERYBODY)
    lowest = [ROLES.index(role) for role in ROLES if role in line.who]
    people = set(ROLES[lowest[0] :]) if lowest else set()
    return people | (set(line.who) & set(EVERYBODY))
