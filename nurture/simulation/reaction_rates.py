"""Read the file that says how made-up people react to mail: rates, fatigue, and the events that they cause."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from nurture.domain.errors import InputError
from nurture.domain.instant import Duration, parse_duration
from nurture.domain.measure import PURPOSES

#: The file that ships; another one changes some of its keys.
SHIPPED: Final = Path(__file__).with_name("reactions.yaml")
_PERCENT: Final = re.compile(r"\d{1,3}(\.\d{1,6})?%")

#: A share from 0 to 1; written as a percentage.
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the file; a key that it does not know is refused."""


class PurposeRates(_Part, frozen=True):
    """Shares of the mails of one purpose."""

    click: Share
    unsubscribe: Share
    complain: Share


class MeasureRates(_Part, frozen=True):
    """Shares of the mails of one measure; None: as its purpose and its call to action."""

    click: Share | None = None
    unsubscribe: Share | None = None
    complain: Share | None = None
    # The share of those who click, and the event; "" for none.
    rate: Share | None = None
    event: str | None = None


class ActionRate(_Part, frozen=True):
    """The event of a call to action, and the share of those who click."""

    event: str
    rate: Share


class Fatigue(_Part, frozen=True):
    """How further mails within a window change the rates."""

    window: str
    free: Annotated[int, msgspec.Meta(ge=0)]
    interest: Share
    annoyance: Annotated[float, msgspec.Meta(ge=1)]

    @property
    def span(self) -> Duration:
        """The window as a duration."""
        return parse_duration(self.window)


class Delay(_Part, frozen=True, rename={"begin": "from", "end": "to"}):
    """The shortest and the longest time between a mail and a reaction."""

    begin: str
    end: str

    @property
    def span(self) -> tuple[Duration, Duration]:
        """Both as durations."""
        return parse_duration(self.begin), parse_duration(self.end)


class ReactionRates(_Part, frozen=True):
    """The whole file."""

    delay: Delay
    confirm: Share
    purposes: dict[str, PurposeRates]
    fatigue: Fatigue
    actions: dict[str, ActionRate]
    measures: dict[str, MeasureRates]
    by_itself: Share
    events: dict[str, dict[str, Any]]

    def of_mail(self, *, path: str, purpose: str, action: str) -> MeasureRates:
        """Return the rates of a measure's mails, each of them known. action: the kind of its call to action."""
        own, usual = self.measures.get(path, MeasureRates()), self.purposes[purpose]
        act = self.actions.get(action)
        return MeasureRates(
            click=usual.click if own.click is None else own.click,
            unsubscribe=usual.unsubscribe if own.unsubscribe is None else own.unsubscribe,
            complain=usual.complain if own.complain is None else own.complain,
            rate=(act.rate if act else 1.0) if own.rate is None else own.rate,
            event=(act.event if act else "") if own.event is None else own.event,
        )


@cache
def shipped_rates() -> ReactionRates:
    """Return the rates of the file that ships."""
    return read_rates(None)


def read_rates(path: Path | None) -> ReactionRates:
    """Return the rates of a file, with those that ship for each key that it leaves out.

    Raises InputError with the place of a value that cannot be used.
    """
    document = _read(SHIPPED)
    for name, part in (_read(path) if path is not None else {}).items():
        known = document.get(name)
        if isinstance(part, Mapping) and isinstance(known, Mapping):
            document[name] = {**known, **part}
        else:
            document[name] = part
    shown = path or SHIPPED
    events = document.pop("events", {})
    try:
        rates = msgspec.convert({**_with_shares(document), "events": events}, ReactionRates)
        _check(rates)
    except (msgspec.ValidationError, ValueError) as error:
        raise InputError(f"{shown}: {str(error).replace('$.', '')}") from None
    return rates


def _read(path: Path) -> dict[str, Any]:
    try:
        document = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise InputError(f"{path}: the file cannot be read: {error}") from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: write keys such as `confirm: 80%`; see nurture simulate --save-reactions")
    return document


def _with_shares(value: Any) -> Any:
    """Return the value with every percentage in it as a number."""
    if isinstance(value, Mapping):
        return {str(name): _with_shares(part) for name, part in value.items()}
    if isinstance(value, str) and _PERCENT.fullmatch(value):
        return float(value[:-1]) / 100
    return float(value) if isinstance(value, int) and not isinstance(value, bool) and value == 0 else value


def _check(rates: ReactionRates) -> None:
    """Raise ValueError for values that no type refuses."""
    begin, end = rates.delay.span
    if not 0 < begin <= end:
        raise ValueError("delay: `from` is more than 0 and at most `to`")
    if rates.fatigue.span <= 0:
        raise ValueError("fatigue.window: write a duration such as 14d")
    unknown = sorted(rates.purposes.keys() - set(PURPOSES))
    if unknown:
        raise ValueError(f"purposes.{unknown[0]}: no such purpose; known are {', '.join(PURPOSES)}")
    caused = [action.event for action in rates.actions.values()]
    caused += [measure.event for measure in rates.measures.values() if measure.event]
    missing = sorted({name for name in caused if name not in rates.events})
    if missing:
        raise ValueError(f"events: add {missing[0]}, with its properties or {{}}")
