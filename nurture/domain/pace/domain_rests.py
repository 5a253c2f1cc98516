"""Which pause follows when mail servers ask for fewer mails: the whole lane rests, or one receiving domain."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from nurture.domain.instant import HOUR, MINUTE, Duration, Instant
from nurture.domain.sampling import SHARES, hash_share

#: How long a domain rests at first, and at most; each rest that follows soon is twice as long.
REST_FIRST: Final[Duration] = MINUTE
REST_MAX: Final[Duration] = HOUR
#: Stages at which the reply is about a mail and its recipient, not about the session.
_ABOUT_MAIL: Final = frozenset({"rcpt", "data", "dot", "replied"})


@dataclass(frozen=True, slots=True)
class Heard:
    """How one mail ended, as far as the pace of a lane is concerned."""

    domain: str
    stage: str
    was_sent: bool
    # True: the server asked for fewer mails.
    slow: bool


@dataclass(frozen=True, slots=True)
class DomainRest:
    """The rest of one receiving domain on a lane."""

    until: Instant
    length: Duration

    def instant_for(self, message: int) -> Instant:
        """Return when a mail to the domain is judged again: the mails are spread over as long as the rest is."""
        return self.until + self.length * hash_share("domain_rest", message) // SHARES


def domain_of(address: str) -> str:
    """Return the domain of an address in small letters."""
    return address.rpartition("@")[2].lower()


def find_who_rests(heard: Iterable[Heard]) -> tuple[bool, set[str]]:
    """Return whether the lane rests, else the domains that do.

    The lane rests when the session was refused, or when several domains asked for fewer mails and no mail was
    accepted: then the server that all of them share is meant.
    """
    mails = list(heard)
    slow = [mail for mail in mails if mail.slow]
    if any(mail.stage not in _ABOUT_MAIL for mail in slow):
        return True, set()
    domains = {mail.domain for mail in slow}
    if len(domains) > 1 and not any(mail.was_sent for mail in mails):
        return True, set()
    return False, domains


def next_rest(before: DomainRest | None, now: Instant) -> DomainRest:
    """Return the rest of a domain that asks for fewer mails at `now`; a rest under way stays as it is.

    before: its newest rest. A rest that begins within twice the length of the one before, after its end, is twice as
    long: mails to the domain are spread over the first half of that time.
    """
    if before is None or now > before.until + 2 * before.length:
        return DomainRest(now + REST_FIRST, REST_FIRST)
    if now < before.until:
        return before
    length = min(REST_MAX, 2 * before.length)
    return DomainRest(now + length, length)


def rests_now(rests: Mapping[str, DomainRest], address: str | None, now: Instant) -> DomainRest | None:
    """Return the rest under way of the address's domain; None without one."""
    rest = rests.get(domain_of(address)) if address else None
    return rest if rest is not None and rest.until > now else None
