"""Check the sender's DNS records and certificates once an hour, in one process, and keep the results."""

from collections.abc import Callable, Iterator

from nurture.app.services import Services
from nurture.domain.errors import UserError
from nurture.domain.health import sender
from nurture.domain.health.sender import Lookup, SenderCheck
from nurture.domain.instant import HOUR, Instant
from nurture.health import queries
from nurture.transports import lookups
from nurture.transports.lookups import Resolver
from nurture.transports.registry import open_lanes
from nurture.transports.smtp.options import read_smtp_url

_SLOT = "sender"
_NO_RESOLVER = "no name is looked up: set NURTURE_DNS_SERVER to `system` or to the address of a resolver"


def check_sender(services: Services) -> list[SenderCheck]:
    """Make every check and return the results; takes some seconds where servers do not answer."""
    lanes = {name: url for name, url in open_lanes(services.settings.mail_url).items() if _is_smtp(url)}
    if not lanes:
        return [sender.not_checked("DNS and certificates", "mail goes to a local mailbox")]
    return [*_check_records(services, lanes), *_check_certificates(services, lanes)]


def check_sender_hourly(services: Services) -> bool:
    """Make the checks unless a process made them in this hour; return whether they were made here."""
    database, clock = services.database, services.clock
    now = clock.now()
    if not database.run(lambda connection: queries.take_slot(connection, _SLOT, now - now % HOUR, now=now)):
        return False
    rows = [
        {"name": check.name, "state": check.state, "words": check.words, "remedy": check.remedy, "at": now}
        for check in {check.name: check for check in check_sender(services)}.values()
    ]
    database.run(lambda connection: queries.save_sender_checks(connection, rows))
    return True


# ---- DNS -------------------------------------------------------------------------------------------------


def _check_records(services: Services, lanes: dict[str, str]) -> Iterator[SenderCheck]:
    settings = services.settings
    if not settings.dns_server:
        yield sender.not_checked("DNS", _NO_RESOLVER)
        return
    resolver = Resolver(settings.dns_server)
    domains = _sender_domains(services)
    bounce_domain = settings.bounce_address.rpartition("@")[2]
    for domain in [bounce_domain] if bounce_domain else domains:
        yield sender.judge_spf(domain, resolver.texts(domain))
    for domain in domains:
        yield sender.judge_dmarc(domain, _find_dmarc(resolver, domain))
        if not settings.dkim_selectors:
            reason = "set NURTURE_DKIM_SELECTORS to the names that your relay signs with"
            yield sender.not_checked(f"DKIM {domain}", reason)
        for selector in settings.dkim_selectors:
            key = resolver.texts(f"{selector}._domainkey.{domain}")
            yield sender.judge_dkim(domain, selector, key)
    for host in dict.fromkeys(read_smtp_url(url).host for url in lanes.values()):
        yield _check_reverse(resolver, host)


def _sender_domains(services: Services) -> list[str]:
    """Return the domains of the playbook's senders, each once."""
    try:
        with services.database.read() as connection:
            senders = services.playbooks.active(connection).playbook.senders
    except UserError:
        return []
    addresses = (str(entry.get("address", "")) for entry in senders.values())
    return list(dict.fromkeys(address.rpartition("@")[2].lower() for address in addresses if "@" in address))


def _find_dmarc(resolver: Resolver, domain: str) -> Lookup:
    """Return the record of the domain, or of the nearest domain above it that has one."""
    found = Lookup()
    for name in sender.parent_domains(domain):
        found = resolver.texts(f"_dmarc.{name}")
        if found.records or found.unreachable:
            break
    return found


def _check_reverse(resolver: Resolver, host: str) -> SenderCheck:
    name = f"reverse DNS {host}"
    addresses = Lookup((host,)) if lookups.is_address(host) else resolver.addresses(host)
    if addresses.unreachable or not addresses.records:
        return sender.not_checked(name, addresses.unreachable or "the host has no address")
    address = addresses.records[0]
    if not lookups.is_public(address):
        reason = f"{address} is a private address; the one that the relay sends from is not known here"
        return sender.not_checked(name, reason)
    names = resolver.names(address)
    back = resolver.addresses(names.records[0]) if names.records else Lookup()
    return sender.judge_reverse(host, address, names, back)


# ---- certificates ----------------------------------------------------------------------------------------


def _check_certificates(services: Services, lanes: dict[str, str]) -> Iterator[SenderCheck]:
    now = services.clock.now()
    for url in lanes.values():
        options = read_smtp_url(url)
        if options.tls != "none":
            name = f"certificate {options.host}:{options.port}"
            yield _check_certificate(name, lambda url=url: lookups.read_relay_certificate(url), now)  # type: ignore[misc]
    if services.settings.base_url.startswith("https:"):
        url = services.settings.base_url
        yield _check_certificate(f"certificate {url}", lambda: lookups.read_https_certificate(url), now)


def _check_certificate(name: str, read: Callable[[], Instant], now: Instant) -> SenderCheck:
    try:
        return sender.judge_certificate(name, read(), now=now)
    except lookups.CertificateInvalid as error:
        return SenderCheck(name, "failed", str(error), "renew it, or correct the host's name in the settings")
    except lookups.CertificateUnknown as error:
        return sender.not_checked(name, f"not reachable from here: {error}")


def _is_smtp(url: str) -> bool:
    return url.startswith(("smtp:", "smtps:"))
