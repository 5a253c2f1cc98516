"""The DNS records and certificates that mailbox providers ask of a sender, judged by what is in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nurture.domain.instant import DAY, Instant

#: not_checked: nothing could be looked up, with the reason; it is no fault of the records.
State = Literal["ok", "warning", "failed", "not_checked"]
#: A certificate that ends sooner than this is worth a notice.
CERTIFICATE_DAYS = 14


@dataclass(frozen=True, slots=True)
class Lookup:
    """The records of a name, or why they could not be looked up."""

    records: tuple[str, ...] = ()
    # "": the answer is known, also when there is no record.
    unreachable: str = ""


@dataclass(frozen=True, slots=True)
class SenderCheck:
    """One check with its result."""

    name: str
    state: State
    words: str
    remedy: str = ""


def not_checked(name: str, reason: str) -> SenderCheck:
    """Return the result of a check that could not be made."""
    return SenderCheck(name, "not_checked", reason)


def judge_spf(domain: str, lookup: Lookup) -> SenderCheck:
    """Judge the SPF record (RFC 7208) of the domain that bounces return to."""
    name = f"SPF {domain}"
    if lookup.unreachable:
        return not_checked(name, lookup.unreachable)
    found = [record for record in lookup.records if _has_version(record, "v=spf1", " ")]
    if not found:
        remedy = f"add a TXT record to {domain}, such as v=spf1 include:YOUR-RELAY -all"
        return SenderCheck(name, "failed", "there is no record", remedy)
    if len(found) > 1:
        words = f"there are {len(found)} records, so none counts"
        return SenderCheck(name, "failed", words, "join them into one")
    terms = found[0].lower().split()[1:]
    if "+all" in terms or "all" in terms:
        return SenderCheck(name, "failed", f"it allows every server: {found[0]}", "end it with -all or ~all")
    if not any(term in ("-all", "~all") or term.startswith("redirect=") for term in terms):
        words = f"it forbids no server: {found[0]}"
        return SenderCheck(name, "warning", words, "end it with -all or ~all")
    return SenderCheck(name, "ok", found[0])


def judge_dmarc(domain: str, lookup: Lookup) -> SenderCheck:
    """Judge the DMARC record (RFC 7489) of the sender's domain. Gmail and Yahoo ask for one, whatever its policy."""
    name = f"DMARC {domain}"
    if lookup.unreachable:
        return not_checked(name, lookup.unreachable)
    found = [record for record in lookup.records if _has_version(record, "v=dmarc1", ";")]
    if len(found) != 1:
        words = f"there are {len(found)} records, so none counts" if found else "there is no record"
        remedy = f"add one TXT record to _dmarc.{domain}: v=DMARC1; p=none; rua=mailto:YOUR-ADDRESS"
        return SenderCheck(name, "failed", words, remedy)
    policy = _tags(found[0]).get("p", "")
    if policy not in ("none", "quarantine", "reject"):
        remedy = "write p=none, p=quarantine or p=reject"
        return SenderCheck(name, "failed", f"it has no policy: {found[0]}", remedy)
    return SenderCheck(name, "ok", found[0])


def judge_dkim(domain: str, selector: str, lookup: Lookup) -> SenderCheck:
    """Judge the public key (RFC 6376) that the relay's signatures are verified with."""
    name = f"DKIM {selector}._domainkey.{domain}"
    if lookup.unreachable:
        return not_checked(name, lookup.unreachable)
    found = [record for record in lookup.records if "p" in _tags(record)]
    if not found:
        remedy = "publish the key that your relay shows, or correct NURTURE_DKIM_SELECTORS"
        return SenderCheck(name, "failed", "there is no key", remedy)
    if not _tags(found[0])["p"]:
        return SenderCheck(
            name, "failed", "the key is revoked (p= is empty)", "publish the relay's present key"
        )
    return SenderCheck(name, "ok", "the key is there")


def judge_reverse(host: str, address: str, names: Lookup, addresses: Lookup) -> SenderCheck:
    """Judge the reverse name of a relay's address. names: its PTR records; addresses: those of the first name."""
    name = f"reverse DNS {host}"
    if names.unreachable or addresses.unreachable:
        return not_checked(name, names.unreachable or addresses.unreachable)
    if not names.records:
        remedy = "ask the owner of the address to set one; Gmail refuses servers without"
        return SenderCheck(name, "failed", f"{address} has no name", remedy)
    if address not in addresses.records:
        words = f"{address} is called {names.records[0]}, and that name is not {address}"
        return SenderCheck(name, "failed", words, "let the name and the address point at each other")
    return SenderCheck(name, "ok", f"{address} is {names.records[0]}")


def judge_certificate(name: str, ends_at: Instant, *, now: Instant) -> SenderCheck:
    """Judge a certificate that is valid now by the time that it has left."""
    days = (ends_at - now) // DAY
    words = f"it ends in {days} days"
    if days < CERTIFICATE_DAYS:
        return SenderCheck(name, "warning", words, "renew it")
    return SenderCheck(name, "ok", words)


def parent_domains(domain: str) -> Sequence[str]:
    """Return the domain and those above it down to two labels, where a DMARC record may stand."""
    labels = domain.lower().rstrip(".").split(".")
    return [".".join(labels[start:]) for start in range(max(len(labels) - 1, 1))]


def _has_version(record: str, version: str, separator: str) -> bool:
    return record.lower().partition(separator)[0].strip() == version


def _tags(record: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in record.split(";"))
    return {name.strip().lower(): value.strip() for name, equals, value in pairs if equals}
