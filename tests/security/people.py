"""Builders of the security tests: users, keys, signed-in clients, and every route of the application."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from nurture.app.accounts import access
from nurture.app.services import Services
from nurture.domain.access import ROLES, SCOPES

PASSWORD = "a horse, a battery and a staple"
TABLE = Path(__file__).parent / "routes.tsv"
#: Values for the parameters of a path when a route is requested.
PARTS = {"contact_id:int": "1", "number:int": "1", "key": "WK"}


@dataclass(frozen=True)
class Line:
    """One line of the table of routes."""

    method: str
    path: str
    who: tuple[str, ...]
    asked: str = ""

    @property
    def sample(self) -> str:
        """The address to request: the path with values for its parameters."""
        return self.asked or re.sub(r"\{([^}]+)\}", lambda match: PARTS.get(match[1], "nonsense"), self.path)


def table() -> list[Line]:
    """Return the table of routes."""
    lines = [line for line in TABLE.read_text().splitlines() if line and not line.startswith("#")]
    split = [line.split("\t") for line in lines]
    return [Line(method, path, tuple(who.split()), *asked) for method, path, who, *asked in split]


def routes(application: Any) -> Iterator[tuple[str, str]]:
    """Yield the method and path of every route, those of included routers too."""
    for route in application.routes:
        if hasattr(route, "original_router"):
            yield from routes(route.original_router)
            continue
        for method in route.methods - {"HEAD"}:
            yield method, route.path


def form_token(client: httpx.Client, path: str) -> str:
    """Return the token in the first form of a page; empty where there is no form."""
    match = re.search(r'name="form" value="(\w+)"', client.get(path).text)
    return match[1] if match else ""


def sign_in(client: httpx.Client, name: str, password: str = PASSWORD, **given: Any) -> httpx.Response:
    """Send the form of the login page."""
    data = {"name": name, "password": password, "next": "/", "form": form_token(client, "/login")}
    return client.post("/login", data=data, **given)


def add_people(services: Services, roles: Iterable[str] = ROLES) -> None:
    """Add one user of each role, named like it with an s."""
    for role in roles:
        access.add_user(services, f"{role}s", role=role, password=PASSWORD, actor="cli:test")


def add_keys(services: Services) -> dict[str, str]:
    """Add one key of each scope; return them by scope."""
    return {
        scope: access.add_key(services, f"app-{scope}", scopes=(scope,), actor="cli:test")["key"]
        for scope in SCOPES
    }
