"""Report the published values of a person, with the version that each band came with, and when."""

from collections.abc import Iterator

from nurture.domain.contact import Contact
from nurture.domain.instant import Instant, to_iso
from nurture.domain.measure import Measure
from nurture.domain.playbook import BandFact, Playbook
from nurture.domain.published_values import announced_version
from nurture.playbook.hashes import conditions_of


def describe_values(contact: Contact, playbook: Playbook) -> dict[str, str]:
    """Return value -> the person's band, its version and when that was published."""
    found: dict[str, str] = {}
    for name, fact in playbook.facts.items():
        announced = announced_version(contact, name) if isinstance(fact, BandFact) else None
        if announced is not None:
            found[name] = f"{contact.facts.get(name, 'unknown')} ({_words(*announced)})"
    return found


def describe_values_read(
    contact: Contact, measure: Measure, playbook: Playbook
) -> Iterator[tuple[str, bool, str, str]]:
    """Yield (check, met, value, change) for each published value that the measure's conditions read."""
    read = {term for condition in conditions_of(measure) for term in condition.terms}
    for name in sorted(read):
        if not isinstance(playbook.facts.get(name), BandFact):
            continue
        announced = announced_version(contact, name)
        band = contact.facts.get(name, "unknown")
        if announced is not None:
            yield "published value", name in contact.facts, f"{name} is {band}: {_words(*announced)}", ""
        else:
            change = "nurture values publish FILE hands in a number of the person"
            yield (
                "published value",
                False,
                f"{name} is unknown: no number of the person was published",
                change,
            )


def _words(version: int, at: Instant) -> str:
    return f"version {version} of {to_iso(at)}"
