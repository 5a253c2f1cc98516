"""The sender's records, asked of a DNS server of this test; what cannot be asked is told with its reason."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from nurture.app.sender_checks import check_sender, check_sender_hourly
from nurture.app.status import describe
from nurture.database.engine import Database
from nurture.domain.errors import SettingsError
from nurture.domain.instant import HOUR, MINUTE
from nurture.runtime.clock import ManualClock
from nurture.runtime.settings import load_settings
from nurture.transports import lookups
from tests.rig.process import free_port
from tests.web.live import a_service

NOW = 1_000 * HOUR
RECORDS = {
    "bounces.lark.example.": "v=spf1 include:relay.example -all",
    "_dmarc.lark.example.": "v=DMARC1; p=none",
    "s1._domainkey.lark.example.": "v=DKIM1; p=MIIB",
}


@contextmanager
def dns_server(records: Mapping[str, str], *, fails: bool = False) -> Iterator[str]:
    """Give the address of a server with these TXT records; fails: it answers nothing but SERVFAIL."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                packet, client = server.recvfrom(4096)
            except OSError:
                return
            if not packet:
                return
            query = dns.message.from_wire(packet)
            reply = dns.message.make_response(query)
            reply.flags |= dns.flags.RA
            name = str(query.question[0].name)
            if fails:
                reply.set_rcode(dns.rcode.SERVFAIL)
            elif name in records:
                reply.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", f'"{records[name]}"'))
            else:
                reply.set_rcode(dns.rcode.NXDOMAIN)
            server.sendto(reply.to_wire(), client)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    host, port = server.getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", (host, port))
        thread.join(5)
        server.close()


def results(database: Database, **settings: Any) -> dict[str, str]:
    given: dict[str, Any] = {
        "mail_url": "smtp://127.0.0.1:25",
        "bounce_address": "b@bounces.lark.example",
    } | settings
    return {check.name: check.state for check in check_sender(a_service(database, **given))}


def test_records_are_looked_up_at_the_configured_server_alone(sqlite_database: Database) -> None:
    with dns_server(RECORDS) as server:
        assert results(sqlite_database, dns_server=server, dkim_selectors=("s1", "s2")) == {
            "SPF bounces.lark.example": "ok",
            "DMARC lark.example": "ok",
            "DKIM s1._domainkey.lark.example": "ok",
            "DKIM s2._domainkey.lark.example": "failed",
            "reverse DNS 127.0.0.1": "not_checked",
        }
    with dns_server({}, fails=True) as server:
        states = results(sqlite_database, dns_server=server, dkim_selectors=("s1",))
    assert set(states.values()) == {"not_checked"}


def test_without_a_server_nothing_is_looked_up_and_the_result_says_so(sqlite_database: Database) -> None:
    assert results(sqlite_database) == {"DNS": "not_checked"}
    assert results(sqlite_database, mail_url="maildir:mailbox") == {"DNS and certificates": "not_checked"}


def test_a_certificate_of_a_server_that_is_away_is_not_checked(sqlite_database: Database) -> None:
    relay = f"127.0.0.1:{free_port()}"
    states = results(
        sqlite_database, mail_url=f"smtps://{relay}", base_url=f"https://127.0.0.1:{free_port()}"
    )
    assert states[f"certificate {relay}"] == "not_checked"
    assert set(states.values()) == {"not_checked"}


def test_results_are_kept_for_every_host_and_made_once_an_hour(sqlite_database: Database) -> None:
    clock = ManualClock(NOW)
    with dns_server(RECORDS) as server:
        services = a_service(
            sqlite_database,
            clock=clock,
            mail_url="smtp://127.0.0.1:25",
            bounce_address="b@bounces.lark.example",
            dns_server=server,
            dkim_selectors=("s2",),
        )
        assert check_sender_hourly(services)
    clock.advance_to(NOW + 59 * MINUTE)
    assert not check_sender_hourly(services)
    document = describe(a_service(sqlite_database, clock=clock))
    assert {row["check"]: row["state"] for row in document["sender"]} == {
        "DKIM s2._domainkey.lark.example": "failed",
        "DMARC lark.example": "ok",
        "SPF bounces.lark.example": "ok",
        "reverse DNS 127.0.0.1": "not_checked",
    }
    problems = [finding["part"] for finding in document["findings"] if finding["severity"] == "problem"]
    assert "sender" in problems


def test_a_resolver_is_an_address_or_that_of_the_system(tmp_path: Path) -> None:
    for value in ("system", "9.9.9.9", "127.0.0.1:5353", "::1"):
        assert load_settings(folder=tmp_path, environment={"NURTURE_DNS_SERVER": value}).dns_server == value
    for value in ("dns.example", "9.9.9.9:0", "yes"):
        with pytest.raises(SettingsError, match="NURTURE_DNS_SERVER"):
            load_settings(folder=tmp_path, environment={"NURTURE_DNS_SERVER": value})
    assert lookups.is_address("::1")
    assert not lookups.is_public("10.0.0.1")


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("WARM_UP", "main=200", "such as 2026-12-01:200"),
        ("PROVIDER_LIMITS", "hotmail.com=9", "write outlook.com"),
        ("PROVIDER_LIMITS", "ann-smith.example=9", "only large mailbox providers"),
        ("PROVIDER_LIMITS", "gmail.com=0", "above 0"),
    ],
)
def test_a_warm_up_that_cannot_be_read_is_refused(tmp_path: Path, name: str, value: str, hint: str) -> None:
    with pytest.raises(SettingsError, match=hint):
        load_settings(folder=tmp_path, environment={f"NURTURE_{name}": value})
