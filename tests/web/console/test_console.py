"""The console: who may see it, what it shows, and that nothing hostile comes alive in it."""

import logging
import re
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import structlog

from nurture.app.services import Services
from nurture.contacts.accept import accept
from nurture.database.day_counts import COUNTED, NEW, count_mails
from nurture.database.engine import Database, encode
from nurture.database.schema import (
    consents,
    events,
    mail_changes,
    messages,
    quarantine,
    runs,
    transitions,
)
from nurture.domain.instant import DAY, HOUR, MINUTE
from nurture.runtime.clock import ManualClock
from nurture.transports.maildir import MaildirTransport
from nurture.transports.types import OutgoingMail
from nurture.web import access_log
from nurture.web.console.login import COOKIE
from tests.journey.builders import an_event
from tests.web.live import NOW, a_contact, a_service, running

PAGES = ("/", "/mailbox", "/contacts", "/measures", "/quarantine")
HOSTILE = '"><script>alert(1)</script>'
OpenBrowser = Callable[[Services], httpx.Client]


@pytest.fixture
def open_services(sqlite_database: Database, tmp_path: Path) -> Services:
    """Give services without a password, with a local mailbox."""
    return a_service(sqlite_database, clock=ManualClock(NOW), mail_url=f"maildir:{tmp_path / 'mail'}")


@pytest.fixture
def client(open_services: Services, open_browser: OpenBrowser) -> httpx.Client:
    return open_browser(open_services)


@pytest.fixture
def guarded(sqlite_database: Database, open_browser: OpenBrowser) -> httpx.Client:
    """Give a client of a console with the password `s3cret`."""
    return open_browser(a_service(sqlite_database, clock=ManualClock(NOW), admin_password="s3cret"))


def sign_in(
    client: httpx.Client, password: str = "s3cret", *, to: str = "/contacts", **given: Any
) -> httpx.Response:
    data = {"password": password, "next": to, "form": form_token(client, "/login")}
    return client.post("/login", data=data, **given)


def form_token(client: httpx.Client, path: str) -> str:
    """Return the token in the first form of a page; empty where there is no form."""
    found = re.search(r'name="form" value="(\w+)"', client.get(path).text)
    return found[1] if found else ""


# ---- the door --------------------------------------------------------------------------------------------


def test_without_a_password_the_console_is_open_on_this_machine(client: httpx.Client) -> None:
    for path in PAGES:
        assert client.get(path).status_code == 200, path


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "console.example.com"},
        {"Host": "127.0.0.1.evil.example"},
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-For": "127.0.0.1"},
    ],
    ids=["other name", "rebinding", "behind a proxy", "behind a proxy that is lied to"],
)
def test_without_a_password_the_console_is_closed_to_everybody_else(
    client: httpx.Client, headers: dict[str, str]
) -> None:
    for path in PAGES:
        assert client.get(path, headers=headers).status_code == 303, path
    answer = client.get("/login", headers=headers)
    assert answer.status_code == 403
    assert "NURTURE_ADMIN_PASSWORD" in answer.text


def test_a_public_address_closes_the_open_console(
    sqlite_database: Database, open_browser: OpenBrowser
) -> None:
    client = open_browser(a_service(sqlite_database, base_url="https://mail.example.com"))
    assert client.get("/").status_code == 303


def test_with_a_password_every_page_asks_for_it(guarded: httpx.Client) -> None:
    for path in (*PAGES, "/contacts/1", "/mailbox/x", "/mailbox/x/html"):
        answer = guarded.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={path}")
    assert sign_in(guarded).headers["location"] == "/contacts"
    for path in PAGES:
        assert guarded.get(path).status_code == 200, path
    assert guarded.post("/logout", data={"form": form_token(guarded, "/account")}).status_code == 303
    assert guarded.get("/").status_code == 303


def test_the_session_is_a_cookie_that_scripts_and_other_sites_cannot_use(guarded: httpx.Client) -> None:
    cookie = sign_in(guarded).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


def test_a_wrong_password_opens_nothing_and_many_shut_the_door(guarded: httpx.Client) -> None:
    statuses = [sign_in(guarded, "wrong").status_code for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert sign_in(guarded).status_code == 429
    assert guarded.get("/").status_code == 303


def test_another_sites_form_cannot_sign_in(guarded: httpx.Client) -> None:
    assert sign_in(guarded, headers={"Origin": "https://evil.example"}).status_code == 403
    assert sign_in(guarded, headers={"Origin": "null"}).status_code == 403


def test_a_session_ends_by_time_and_by_a_new_password(
    sqlite_database: Database, open_browser: OpenBrowser
) -> None:
    clock = ManualClock(NOW)
    client = open_browser(a_service(sqlite_database, clock=clock, admin_password="s3cret"))
    sign_in(client)
    session = {"Cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
    changed = open_browser(a_service(sqlite_database, clock=clock, admin_password="another"))
    assert changed.get("/", headers=session).status_code == 303
    client = open_browser(a_service(sqlite_database, clock=clock, admin_password="s3cret"))
    assert client.get("/", headers=session).status_code == 200
    clock.advance_to(NOW + DAY)
    assert client.get("/", headers=session).status_code == 303


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", ""])
def test_signing_in_leads_to_our_own_pages_only(guarded: httpx.Client, target: str) -> None:
    answer = sign_in(guarded, to=target)
    assert answer.headers["location"] == "/"


# ---- what it shows ---------------------------------------------------------------------------------------


def a_history(database: Database) -> int:
    """Store a contact with a bit of everything; return its id."""
    contact = a_contact(
        database, facts={"orders": 2, "name": HOSTILE, "last:Order Completed": NOW}, zone="Asia/Shanghai"
    )
    common = {"contact_id": contact, "measure": "lead/aware/guide"}
    checks = [{"name": "consent", "passed": False, "detail": HOSTILE}, {"name": "cap", "passed": True}]
    with database.write() as connection:
        connection.execute(
            sa.insert(events).values(
                contact_id=contact,
                source="shop",
                message_id="m",
                kind="track",
                name="Article Read",
                occurred_at=NOW,
                received_at=NOW,
                historic=False,
                body=encode({"properties": {"title": HOSTILE, "list": [1]}}),
            )
        )
        for number, (status, reason) in enumerate(
            [("sent", ""), ("skipped", "consent_withdrawn"), ("waiting", "")]
        ):
            row = {
                **common,
                "run_key": "",
                "step": f"s{number}",
                "mail": "guide",
                "track": "lead",
                "purpose": "nurture",
                "topic": "news",
                "lane": "main",
                "priority": 1,
                "holdout": False,
                "status": status,
                "reason": reason,
                "decided_at": NOW,
                "due_at": NOW + DAY,
                "valid_until": NOW + DAY,
                "verdict": encode({"action": "skip", "checks": checks}),
            }
            connection.execute(sa.insert(messages).values(row))
        count_mails(connection, connection.execute(sa.select(*COUNTED)), before=NEW)
        run = {
            **common,
            "key": "",
            "entity_key": "",
            "track": "lead",
            "status": "active",
            "started_at": NOW,
            "step": "s2",
            "step_since": NOW,
            "due_at": NOW,
            "mailing": True,
            "holdout": False,
            "variant": "",
            "decided": '["s0","s1","s2"]',
            "let": "{}",
            "data": "{}",
            "rules_hash": "",
        }
        connection.execute(sa.insert(runs).values(run))
        connection.execute(
            sa.insert(transitions).values(
                contact_id=contact,
                kind="stage",
                before="aware",
                after="engage",
                at=NOW + HOUR,
                noticed_at=NOW,
                evidence="Article Read",
            )
        )
        grant = {"topic": "news", "state": "granted", "at": NOW, "source": "web", "evidence": "{}"}
        connection.execute(sa.insert(consents).values(contact_id=contact, **grant))
        connection.execute(
            sa.insert(quarantine).values(
                source="shop", received_at=NOW, stage="shape", reason="event: missing", raw=HOSTILE
            )
        )
    return contact


@pytest.fixture
def contact(open_services: Services) -> int:
    return a_history(open_services.database)


def test_the_overview_counts_people_messages_and_reasons(client: httpx.Client, contact: int) -> None:
    text = " ".join(client.get("/").text.split())
    for shown in ("<b>1</b><span>contacts", "<b>1</b><span>mails sent", "consent withdrawn", "in quarantine"):
        assert shown in text


def test_a_contacts_page_tells_its_story_newest_first(client: httpx.Client, contact: int) -> None:
    text = client.get(f"/contacts/{contact}").text
    assert text.count('class="p-narrow"') == 1
    for shown in (
        "mara@example.com",
        "Asia/Shanghai",
        "user-1",
        "granted",
        "Article Read",
        "2 checks",
        "<dt>orders</dt><dd>2</dd>",
    ):
        assert shown in text
    assert text.index("aware → engage") < text.index("<b>Article Read</b>")


def test_a_merged_contacts_page_is_the_survivors(
    client: httpx.Client, open_services: Services, contact: int
) -> None:
    merged = a_contact(open_services.database, "old@example.com", survivor=contact)
    assert "mara@example.com" in client.get(f"/contacts/{merged}").text


@pytest.mark.parametrize("query", ["MARA@example.com", "id:user-1", "user-1", "contact:1"])
def test_a_contact_is_found_by_any_of_its_names(client: httpx.Client, contact: int, query: str) -> None:
    assert f"/contacts/{contact}" in client.get("/contacts", params={"q": query}).text


@pytest.mark.parametrize(
    "query", ["nobody@example.com", "contact:99", "contact:x", "contact:²", "%", "' OR 1=1 --"]
)
def test_nobody_is_found_by_other_words(client: httpx.Client, contact: int, query: str) -> None:
    answer = client.get("/contacts", params={"q": query})
    assert answer.status_code == 200
    assert "No contact has this in its name, address or ids." in answer.text


def test_measures_show_their_conservation(
    client: httpx.Client, open_services: Services, contact: int
) -> None:
    text = client.get("/measures").text
    assert "lead/aware/guide" in text
    assert "off by" not in text
    with open_services.database.write() as connection:
        connection.execute(sa.delete(mail_changes).where(mail_changes.c.step == "s1"))
    assert "off by 1" in client.get("/measures").text


def test_the_quarantine_shows_items_with_their_reasons(client: httpx.Client, contact: int) -> None:
    text = client.get("/quarantine").text
    assert "event: missing" in text
    assert "&lt;script&gt;" in text


def test_nothing_hostile_comes_alive(client: httpx.Client, open_services: Services, contact: int) -> None:
    for path in (*PAGES, f"/contacts/{contact}", "/contacts?q=" + HOSTILE, "/mailbox?q=" + HOSTILE):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "<script" not in answer.text
        assert "style=" not in answer.text
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/contacts/99", "/mailbox/none", "/mailbox/..%2F..%2Fetc%2Fpasswd"])
def test_a_page_that_does_not_exist_says_so(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_api_page_is_for_everybody_and_needs_no_other_host(guarded: httpx.Client) -> None:
    text = guarded.get("/docs").text
    assert "/v1/batch" in text
    assert "cdn" not in text
    assert "<script" not in text
    assert guarded.get("/openapi.json").json()["paths"]["/v1/batch"]["post"]["responses"]["503"]


# ---- the mailbox -----------------------------------------------------------------------------------------


def deliver(path: Path, number: int, *, html: str, subject: str = "A good cup") -> None:
    mail = EmailMessage()
    mail["From"] = "Mira <mira@lark.example>"
    mail["To"] = f"p{number}@example.com"
    mail["Subject"] = subject
    mail["Date"] = "Mon, 04 May 2026 12:00:00 +0000"
    mail.set_content("The text part.")
    mail.add_alternative(html, subtype="html")
    mail.add_attachment(b"BEGIN:VCALENDAR", maintype="text", subtype="calendar", filename="meeting.ics")
    transport = MaildirTransport(path, clock=ManualClock(NOW + number))
    outgoing = OutgoingMail(
        message_id=number,
        attempt=1,
        sender="a@b.example",
        recipient=f"p{number}@example.com",
        data=bytes(mail),
    )
    assert [outcome.outcome for outcome in transport.send([outgoing])] == ["sent"]


@pytest.fixture
def mails(tmp_path: Path) -> Path:
    path = tmp_path / "mail"
    for number in range(60):
        deliver(path, number, html="<html><head><title>t</title></head><body><p>Hello</p></body></html>")
    deliver(
        path,
        99,
        html=f"<html><head></head><body>{HOSTILE}<a href='/u/x'>stop</a></body></html>",
        subject="您好 ✓",
    )
    return path


def test_the_mailbox_lists_the_newest_first_page_by_page(client: httpx.Client, mails: Path) -> None:
    first, second = client.get("/mailbox").text, client.get("/mailbox?page=2").text
    assert "您好 ✓" in first
    assert first.index("p99@") < first.index("p59@") < first.index("p58@")
    assert "p0@example.com" not in first
    assert "p0@example.com" in second
    assert "61 mails" in first


def test_mails_are_found_by_recipient_or_subject(client: httpx.Client, mails: Path) -> None:
    assert client.get("/mailbox", params={"q": "P7@example"}).text.count("/mailbox/") == 1
    assert client.get("/mailbox", params={"q": "您好"}).text.count("/mailbox/") == 1
    assert "No mail matches" in client.get("/mailbox", params={"q": "nothing such"}).text


def newest(client: httpx.Client) -> str:
    """Return the path of the newest mail."""
    return client.get("/mailbox").text.split('href="/mailbox/', 1)[1].split('"', 1)[0]


def test_a_mail_shows_its_parts_and_headers(client: httpx.Client, mails: Path) -> None:
    key = newest(client)
    text = client.get(f"/mailbox/{key}").text
    for shown in ("您好 ✓", "The text part.", "meeting.ics", "Content-Type", f'src="/mailbox/{key}/html"'):
        assert shown in text
    assert 'sandbox="allow-popups' in text


def test_the_html_part_is_shut_in_its_own_policy(client: httpx.Client, mails: Path) -> None:
    answer = client.get(f"/mailbox/{newest(client)}/html")
    policy = answer.headers["content-security-policy"]
    assert "sandbox" in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert '<base target="_blank">' in answer.text


def test_without_a_local_mailbox_the_page_says_so(
    sqlite_database: Database, open_browser: OpenBrowser
) -> None:
    client = open_browser(a_service(sqlite_database, mail_url="smtp://127.0.0.1:25"))
    assert "NURTURE_MAIL_URL" in client.get("/mailbox").text


# ---- operations ------------------------------------------------------------------------------------------


def test_ready_means_that_the_oldest_due_work_is_young(client: httpx.Client, open_services: Services) -> None:
    assert client.get("/readyz").json()["ready"] is True
    a_contact(open_services.database, wake_at=NOW - 4 * HOUR)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert answer.json()["oldest_due_seconds"] == {"advance": 4 * 3600.0}
    assert client.get("/healthz").status_code == 200


def test_bulk_work_may_be_due_for_longer(client: httpx.Client, open_services: Services) -> None:
    event = an_event("old", received_at=NOW - 20 * MINUTE, historic=True)
    open_services.database.run(lambda connection: accept(connection, [event]))
    answer = client.get("/readyz")
    assert answer.json()["oldest_due_seconds"] == {"inbox_bulk": 1200.0}
    assert answer.json()["bounds_seconds"]["inbox_bulk"] == 3600.0
    assert answer.status_code == 200


def test_metrics_are_what_prometheus_reads(client: httpx.Client) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "nurture_database_up 1.0" in answer.text


def test_addresses_of_pages_are_not_logged(
    open_services: Services, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nurture.web import create_app

    caplog.set_level("DEBUG")
    for name in ("uvicorn", "uvicorn.error"):
        # A command that ran in this process may have left its own settings.
        monkeypatch.setattr(logging.getLogger(name), "disabled", False)
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
        caplog.set_level("DEBUG", logger=name)
    with running(create_app(open_services)) as url:
        httpx.get(f"{url}/u/a-secret-token")
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")]
    assert lines
    assert not [line for line in lines if "secret" in line]


def test_each_request_is_one_line_with_its_route_and_no_address(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nurture.web import create_app

    monkeypatch.setattr(access_log, "_log", structlog.get_logger())
    service = a_service(sqlite_database, write_keys="shop=WK-of-the-shop")
    with structlog.testing.capture_logs() as lines, running(create_app(service)) as url:
        httpx.get(f"{url}/u/a-secret-token?email=ann@x.example")
        httpx.get(f"{url}/no/such/ann@x.example")
        httpx.get(f"{url}/healthz")
        item = {"userId": "7", "event": "Order Completed", "messageId": "m1"}
        for key in ("unknown-key", "WK-of-the-shop"):
            httpx.post(f"{url}/v1/track", json=item, auth=(key, ""))
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["method"], line["path"], line["log_level"]) for line in requests] == [
        ("GET", "/u/{token}", "info"),
        ("GET", "unknown", "info"),
        ("GET", "/healthz", "debug"),
        ("POST", "/v1/track", "info"),
        ("POST", "/v1/track", "info"),
    ]
    assert [(line["status"], line.get("key")) for line in requests[-2:]] == [(401, None), (200, "shop")]
    assert all(line["ms"] >= 0 for line in requests)
    assert "ann" not in str(lines)
