"""The preference centre: what somebody may be sent, how often, from when, in which language and zone.

One form without a script; everything on it becomes what it was left at, in one transaction. What it cannot
read it says, and saves nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

import sqlalchemy as sa
from fastapi import Request, Response

from nurture.consent import from_pages
from nurture.domain.consent.preferences import GAPS, PAUSE_MAX, PreferenceKind, Preferences
from nurture.domain.consent.wording import Wording
from nurture.domain.instant import DAY, Instant
from nurture.domain.timing import at_local_time, list_zones, to_local
from nurture.web.pages.confirmed_requests import step_links
from nurture.web.pages.page_request import Visit
from nurture.web.pages.public_dispatch import Form, Gate

#: What languages are called by those who speak them.
LANGUAGES: Final[Mapping[str, str]] = {
    "de": "Deutsch",
    "en": "English",
    "es": "Español",
    "fr": "Français",
    "it": "Italiano",
    "ja": "日本語",
    "ko": "한국어",
    "nl": "Nederlands",
    "pl": "Polski",
    "pt": "Português",
    "zh-CN": "简体中文",
    "zh-TW": "繁體中文",
}


@dataclass(frozen=True, slots=True)
class Choices:
    """The form, read; `faults` names the fields that could not be."""

    topics: frozenset[str]
    wanted: dict[PreferenceKind, int] = field(default_factory=dict)
    locale: str | None = None
    zone: str | None = None
    faults: frozenset[str] = frozenset()


class PreferencePages:
    """The preference centre's own page; what needs a step of its own stands in `web.pages.confirmed_requests`."""

    def __init__(self, gate: Gate) -> None:
        """Keep the way in."""
        self._key = gate.services.settings.suppression_secret

    def show(self, _connection: sa.Connection, visit: Visit, _request: Request) -> Response:
        """Show what holds now."""
        return _page(visit, {})

    def save(self, connection: sa.Connection, visit: Visit, form: Form) -> Response:
        """Make everything on the page what it was left at; a topic never spoken of and left off stays so."""
        if "none" in form:
            self._stop(connection, visit, None)
            changed = dict.fromkeys((topic.name for topic in visit.brand.topics), "withdrawn")
            return _page(visit, changed, saved=True)
        if "wording" not in form and "topic" not in form:
            # Not our form: a program that posts whatever it finds must not empty somebody's choices.
            return _page(visit, {})
        choices = read(visit, form)
        if choices.faults:
            return _page(visit, _ticked(visit, choices), faults=choices.faults, status=422)
        changed = self._topics(connection, visit, form, choices)
        evidence = visit.evidence("preferences")
        from_pages.change_preferences(
            connection, visit.person, choices.wanted, now=visit.now, evidence=evidence
        )
        from_pages.choose_locale_and_zone(
            connection, visit.person, locale=choices.locale, zone=choices.zone, now=visit.now
        )
        person = replace(
            visit.person,
            locale=choices.locale or visit.person.locale,
            zone=choices.zone or visit.person.zone,
            preferences=_after(visit.person.preferences, choices.wanted),
        )
        return _page(visit.as_person(person), changed, saved=True)

    def _topics(
        self, connection: sa.Connection, visit: Visit, form: Form, choices: Choices
    ) -> dict[str, str]:
        changed: dict[str, str] = {}
        claimed = (form.get("wording") or [""])[0]
        wording: str | None = None
        for topic in visit.brand.topics:
            if topic.name not in choices.topics:
                if visit.person.state(topic.name) is not None:
                    self._stop(connection, visit, topic.name)
                    changed[topic.name] = "withdrawn"
                continue
            if wording is None:
                wording = from_pages.store_shown_wording(
                    connection, preferences_wording(visit), claimed, now=visit.now
                )
            from_pages.confirm_topic(
                connection,
                visit.person,
                topic.name,
                now=visit.now,
                evidence=visit.evidence("preferences"),
                suppression_key=self._key,
                wording=wording,
            )
            changed[topic.name] = "granted"
        return changed

    def _stop(self, connection: sa.Connection, visit: Visit, topic: str | None) -> None:
        from_pages.withdraw_topic(
            connection,
            visit.person,
            topic,
            now=visit.now,
            evidence=visit.evidence("preferences"),
            suppression_key=self._key,
        )


def read(visit: Visit, form: Form) -> Choices:
    """Read the form. A field that is not there changes nothing: an older page, or a program."""
    wanted: dict[PreferenceKind, int] = {}
    faults: set[str] = set()
    often = _one(form, "often")
    if often is not None:
        days = int(often) if often.isascii() and often.isdigit() and len(often) <= 3 else -1
        faults |= set() if days * DAY in GAPS else {"often"}
        wanted["often"] = max(days, 0) * DAY
    zone = _one(form, "zone") or None
    if zone is not None and zone not in list_zones() and zone != visit.person.zone:
        faults.add("zone")
    locale = _one(form, "locale") or None
    if locale is not None and locale not in _locales(visit):
        faults.add("locale")
    pause = _one(form, "pause")
    if pause is not None:
        until = _pause(visit, pause, zone if "zone" not in faults else None)
        faults |= {"pause"} if until is None else set()
        wanted["pause"] = until or 0
    if "tracking_shown" in form:
        wanted["tracking"] = 0 if "tracking" in form else 1
    return Choices(frozenset(form.get("topic", ())), wanted, locale, zone, frozenset(faults))


def preferences_wording(visit: Visit) -> Wording:
    """Return the words of the page about consent; the address is left out."""
    words = visit.words
    said = [words["preferences_title"], words["preferences_topics"]]
    for topic in visit.brand.topics:
        said += [topic.title, topic.about]
    return Wording("preferences", words["lang"], (*said, words["preferences_save"]))


def _one(form: Form, name: str) -> str | None:
    values = form.get(name)
    return values[0].strip() if values else None


def _pause(visit: Visit, text: str, zone: str | None) -> Instant | None:
    """Return when a pause ends: the first minute of that day where the person is; 0 for none, None for no date."""
    if not text:
        return 0
    try:
        day = date.fromisoformat(text)
        until = at_local_time(day, 0, zone or _zone(visit))
    except (ValueError, OverflowError):
        return None
    if until <= visit.now:
        return 0 if until > visit.now - DAY else None
    return until if until <= visit.now + PAUSE_MAX else None


def _zone(visit: Visit) -> str:
    known = visit.person.zone
    if known and known in list_zones():
        return known
    return visit.loaded.playbook.default_zone if visit.loaded else "UTC"


def _locales(visit: Visit) -> tuple[str, ...]:
    return tuple(visit.loaded.playbook.locales) if visit.loaded else ()


def _locale(visit: Visit) -> str:
    """Return which of the programme's languages the person's is: the same tag, else the same language."""
    wanted = (visit.person.locale or visit.words["lang"]).lower()
    locales = _locales(visit)
    language = wanted.partition("-")[0]
    same = [each for each in locales if each.lower() == wanted]
    same += [each for each in locales if each.lower().partition("-")[0] == language]
    return (same or [*locales, ""])[0]


def _after(preferences: Preferences, wanted: Mapping[PreferenceKind, int]) -> Preferences:
    return Preferences(
        wanted.get("often", preferences.min_gap),
        wanted.get("pause", preferences.paused_until),
        bool(wanted["tracking"]) if "tracking" in wanted else preferences.untracked,
    )


def _ticked(visit: Visit, choices: Choices) -> dict[str, str]:
    return {
        topic.name: "granted" if topic.name in choices.topics else "withdrawn" for topic in visit.brand.topics
    }


def _page(
    visit: Visit,
    changed: Mapping[str, str],
    *,
    saved: bool = False,
    faults: frozenset[str] = frozenset(),
    status: int = 200,
) -> Response:
    person, zone = visit.person, _zone(visit)
    paused = person.preferences.paused_until if person.preferences.paused_until > visit.now else 0
    return visit.page(
        "preferences",
        status=status,
        lead=visit.say("preferences_lead"),
        action=f"/p/{visit.token}",
        wording=preferences_wording(visit).version,
        saved=saved,
        faults=faults,
        topics=[
            {
                "name": topic.name,
                "title": topic.title,
                "about": topic.about,
                "state": changed.get(topic.name, person.state(topic.name)),
            }
            for topic in visit.brand.topics
        ],
        often=[(gap // DAY, gap == person.preferences.min_gap) for gap in GAPS],
        pause=str(to_local(paused, zone).date()) if paused else "",
        earliest=str(to_local(visit.now + DAY, zone).date()),
        latest=str(to_local(visit.now + PAUSE_MAX - DAY, zone).date()),
        tracked=not person.preferences.untracked,
        locales=[(each, LANGUAGES.get(each, each)) for each in _locales(visit)],
        locale=_locale(visit),
        zones=_areas(zone),
        zone=zone,
        steps=step_links(visit),
    )


def _areas(chosen: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the zones by area: (area, [(zone, place)])."""
    areas: dict[str, list[tuple[str, str]]] = {}
    for name in dict.fromkeys((*list_zones(), chosen)):
        area, slash, place = name.partition("/")
        areas.setdefault(area if slash else "", []).append((name, (place or area).replace("_", " ")))
    return list(areas.items())
