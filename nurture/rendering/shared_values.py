"""The values that all mails of a playbook share: brand, senders, locales, links and calendars of its measures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nurture.domain.measure import Calendar, LetBusiness, MailStep
from nurture.domain.owners import key_of
from nurture.domain.playbook import Playbook


@dataclass(frozen=True, slots=True)
class SharedValues:
    """Plain values only, so that they can be sent to another process as JSON."""

    # The playbook's name, a part of List-Id and Feedback-ID.
    name: str
    brand: Mapping[str, Any]
    # Per purpose or `default`: {"name", "address", "reply_to"}.
    senders: Mapping[str, Mapping[str, str]]
    locales: tuple[str, ...]
    # The locale in which every mail exists.
    default_locale: str
    # Link template of each measure's call to action, by the measure's path.
    links: Mapping[str, str] = field(default_factory=dict)
    # Calendar templates: measure -> step -> field -> text.
    calendars: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    # Offer -> {"percent"}.
    offers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    # Decimal digits of the facts that are stored scaled.
    scales: Mapping[str, int] = field(default_factory=dict)
    # Owner -> {"name", "address", "reply_to"}; and measure -> the owner, or `contact.FACT` that names one, who signs.
    owners: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    signers: Mapping[str, str] = field(default_factory=dict)
    # Measure -> names of its `let` that promise a time.
    promises: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # Measure -> names of its `let` and `objects`, which its templates may read besides the common names.
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def sender(self, purpose: str) -> dict[str, str]:
        """Return the sender of mail of this purpose."""
        return dict(self.senders.get(purpose) or self.senders["default"])

    def signer(self, measure: str, purpose: str, view: Mapping[str, Any]) -> dict[str, str]:
        """Return the sender of a measure's mail: the owner it names, else the sender of its purpose.

        view: the values of templates; `sender: contact.FACT` reads the owner's name there.
        """
        name = self.signers.get(measure, "")
        root, _, field_name = name.partition(".")
        if field_name:
            value = (view.get(root) or {}).get(field_name)
            text = value.strip() if isinstance(value, str) else ""
            name = key_of(text, {key: owner["address"] for key, owner in self.owners.items()})
        return dict(self.owners.get(name) or self.sender(purpose))


def shared_values_of(playbook: Playbook) -> SharedValues:
    """Return the shared values of a playbook."""
    measures = playbook.measures.values()
    return SharedValues(
        name=playbook.name,
        brand=dict(playbook.brand),
        senders={purpose: dict(sender) for purpose, sender in playbook.senders.items()},
        locales=tuple(playbook.locales),
        default_locale=playbook.default_locale,
        links={measure.path: measure.action.link for measure in measures},
        calendars={
            measure.path: {
                step.id: _calendar(step.calendar)
                for step in measure.steps
                if isinstance(step, MailStep) and step.calendar
            }
            for measure in measures
        },
        offers={name: {"percent": offer.percent} for name, offer in playbook.offers.items()},
        owners={key: owner.sender for key, owner in playbook.owners.items()},
        signers={measure.path: measure.sender for measure in measures if measure.sender},
        promises={
            measure.path: names
            for measure in measures
            if (names := tuple(name for name, rule in measure.let.items() if isinstance(rule, LetBusiness)))
        },
        scales={name: term.scale for name, term in playbook.vocabulary.terms.items() if term.scale},
        names={measure.path: (*measure.let, *measure.objects) for measure in measures},
    )


def _calendar(calendar: Calendar) -> dict[str, str]:
    return {
        "method": calendar.method,
        "uid": calendar.uid,
        "start": calendar.start,
        "end": calendar.end,
        "summary": calendar.summary,
        "location": calendar.location,
        "zone": calendar.zone or "",
    }
