"""An address or a form with what no database stores is refused or cleaned, never an error of the database."""

import httpx
import pytest

from tests.security.people import sign_in

DIGITS = "9" * 30


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/contacts?q=a%00b"),
        ("GET", f"/contacts/{DIGITS}"),
        ("GET", f"/contacts?q=contact:{DIGITS}"),
        ("GET", "/u/a%00b"),
        ("GET", "/p/%00"),
        ("GET", "/c/a%00b"),
        ("POST", "/join/news%00"),
        ("GET", "/r/%00"),
        ("GET", "/confirm/%00"),
        ("GET", "/messages?measure=%00"),
    ],
)
def test_such_an_address_is_no_fault_of_ours(client: httpx.Client, method: str, path: str) -> None:
    sign_in(client, "operators")
    assert client.get("/contacts").status_code == 200
    answer = client.request(method, path)
    assert answer.status_code < 500, answer.text
    if "%00" in path:
        assert answer.status_code == 400


def test_a_login_name_with_a_nul_is_a_wrong_one(client: httpx.Client) -> None:
    answer = client.post("/login", content=b"name=a%00b&password=c%00d")
    assert answer.status_code < 500
