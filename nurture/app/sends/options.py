"""Options of an ops send that decide on the runs it starts: the occasion, a repeat, the key of another measure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nurture.database.engine import decode, encode
from nurture.domain.errors import InputError
from nurture.domain.measure import Measure, OnEntityDate
from nurture.domain.playbook import Playbook
from nurture.domain.values import key_text

#: Values of `once` that need no key from the operator.
_OWN_KEYS: Final = frozenset({"contact", "event", "year", "month", "day", "occasion"})


@dataclass(frozen=True, slots=True)
class SendOptions:
    """The options of one send."""

    # Name of the occasion, for `once: per occasion`.
    occasion: str = ""
    # True: people whom `once` excludes get the mail again.
    again: bool = False
    # Properties that the trigger's event would carry, such as the key that `once` or `entity` names.
    values: Mapping[str, str] = field(default_factory=dict)
    # The forecast that the operator was shown; it decides nothing, and is kept to be shown beside what happens.
    forecast: Mapping[str, Any] | None = field(default=None, compare=False)

    def as_properties(self) -> dict[str, Any]:
        """Return the properties of the event that hands the send to a contact; without the defaults."""
        properties: dict[str, Any] = dict(self.values)
        if self.occasion:
            properties["occasion"] = self.occasion
        if self.again:
            properties["again"] = True
        return properties

    def as_text(self) -> str:
        """Return the options as JSON text."""
        stored: dict[str, Any] = {"occasion": self.occasion, "again": self.again, "values": dict(self.values)}
        if self.forecast is not None:
            stored["forecast"] = dict(self.forecast)
        return encode(stored)

    @classmethod
    def of_text(cls, text: str) -> "SendOptions":
        """Return the options of `as_text`, or of an empty document."""
        stored = decode(text)
        return cls(
            stored.get("occasion", ""),
            bool(stored.get("again")),
            stored.get("values", {}),
            stored.get("forecast"),
        )


#: A send without options of its own.
NO_OPTIONS: Final = SendOptions()


#: The rule of `is_name` in words.
NAME_RULE: Final = "write a name of at most 200 characters in one line, without a blank before or after it"
_NAME_MAX: Final = 200


def is_name(text: str) -> bool:
    """Tell whether a text can name a send or an occasion, so that two names that look alike are the same."""
    return text.isprintable() and text == text.strip() and 0 < len(text) <= _NAME_MAX


def read_values(texts: list[str]) -> dict[str, str]:
    """Return the values of `--set key=value`. Raises InputError for a text without `=`."""
    values: dict[str, str] = {}
    for text in texts:
        name, separator, written = text.partition("=")
        value = key_text(written)
        if not separator or not name or value is None:
            raise InputError(f"--set {text!r}: write key=value, e.g. --set order_id=o1")
        values[name] = value
    return values


def check_options(options: SendOptions, measure: Measure, playbook: Playbook) -> None:
    """Check that the options give what the measure's `once` and `entity` need. Raises InputError."""
    _check_names(options)
    per = measure.once.per
    if per == "occasion" and isinstance(measure.trigger, OnEntityDate):
        if options.occasion:
            raise InputError(
                f"{measure.path} is sent for the date of one {measure.entity}: leave --occasion out"
            )
    elif per == "occasion" and not options.occasion:
        raise InputError(f"{measure.path} says `once: per occasion`: name the occasion with --occasion NAME")
    elif per != "occasion" and options.occasion:
        raise InputError(
            f"{measure.path} says `once: per {per}`: leave --occasion out, or write `once: per occasion`"
        )
    kind = playbook.entities.get(measure.entity or "")
    keys = () if kind is None else kind.keys
    wanted = keys if per == "entity" or per in keys else () if per in _OWN_KEYS else (per,)
    wanted = wanted or (keys if measure.entity is not None else ())
    if wanted and not set(wanted) & set(options.values):
        raise InputError(
            f"{measure.path} is about one {measure.entity or wanted[0]} each: name it with --set {wanted[0]}=VALUE"
        )


def _check_names(options: SendOptions) -> None:
    reserved = {"measure", "request", "send_at", "occasion", "again"} & set(options.values)
    if reserved:
        raise InputError(f"--set {min(reserved)}: that name has a meaning already; give it by its own option")
    if options.occasion and not is_name(options.occasion):
        raise InputError(f"--occasion {options.occasion[:40]!r}: {NAME_RULE}")


def run_key(options: SendOptions, measure: Measure) -> str | None:
    """Return the key of the run that the send starts for everybody, None when it depends on more than the options."""
    match measure.once.per:
        case "contact":
            return ""
        case "occasion":
            # The occasion of a date of an entity depends on the person.
            return None if isinstance(measure.trigger, OnEntityDate) else key_text(options.occasion)
        case per:
            return key_text(options.values.get(per))
