"""The preference centre: topics, frequency, pause, language, time zone and tracking.

It is one form without a script. Saving stores every field in one transaction; a field that cannot be read is marked,
and then nothing is saved.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

import sqlalchemy as sa
from fastapi import Request, Response

from nurture.consent import from_pages, from_requests
from nurture.domain.consent.preferences import GAPS, PAUSE_MAX, PreferenceKind, Preferences
from nurture.domain.consent.wording import Wording
from nurture.domain.instant import DAY, Instant
from nurture.domain.timing import at_local_time, list_zones, to_local
from nurture.web.pages.confirmed_requests import request_links
from nurture.web.pages.page_request import PageContext
from nurture.web.pages.public_dispatch import Form, PublicDispatcher

#: Language tag -> the language's own name.
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
class PreferenceForm:
    """The submitted form; `faults` names the fields that could not be read."""

    topics: frozenset[str]
    # The topics that were ticked when the page was shown; None: an older page, which does not say.
    shown: frozenset[str] | None = None
    wanted: dict[PreferenceKind, int] = field(default_factory=dict)
    locale: str | None = None
    zone: str | None = None
    faults: frozenset[str] = frozenset()


class PreferencePages:
    """The preference centre. Requests that need a confirmation are in `web.pages.confirmed_requests`."""

    def __init__(self, dispatcher: PublicDispatcher) -> None:
        """Use this dispatcher's suppression key."""
        self._key = dispatcher.services.settings.suppression_secret

    def show(self, connection: sa.Connection, context: PageContext, _request: Request) -> Response:
        """Show the present preferences, and whether a change of address waits for its confirmation."""
        is_moving = from_requests.has_open_address_request(connection, context.person, now=context.now)
        return _render(context, {}, is_moving=is_moving)

    def save(self, connection: sa.Connection, context: PageContext, form: Form) -> Response:
        """Save all fields. A topic changes where the person ticked or unticked it; what changed meanwhile stays."""
        if "none" in form:
            self._stop(connection, context, None)
            changed = dict.fromkeys((topic.name for topic in context.brand.topics), "withdrawn")
            return _render(context, changed, saved=True)
        if "wording" not in form and "topic" not in form:
            # This is not our form. A program that posts to every link must not clear a person's topics.
            return _render(context, {})
        choices = read_preference_form(context, form)
        if choices.faults:
            return _render(
                context,
                _submitted_topics(context, choices),
                faults=choices.faults,
                shown=_first_value(form, "shown"),
                status=422,
            )
        changed = self._topics(connection, context, form, choices)
        evidence = context.evidence("preferences")
        from_pages.change_preferences(
            connection, context.person, choices.wanted, now=context.now, evidence=evidence
        )
        from_pages.choose_locale_and_zone(
            connection, context.person, locale=choices.locale, zone=choices.zone, now=context.now
        )
        person = replace(
            context.person,
            locale=choices.locale or context.person.locale,
            zone=choices.zone or context.person.zone,
            preferences=_after(context.person.preferences, choices.wanted),
        )
        return _render(context.with_person(person), changed, saved=True)

    def _topics(
        self, connection: sa.Connection, context: PageContext, form: Form, choices: PreferenceForm
    ) -> dict[str, str]:
        changed: dict[str, str] = {}
        claimed = (form.get("wording") or [""])[0]
        wording: str | None = None
        for topic in context.brand.topics:
            is_granted = context.person.state(topic.name) == "granted"
            was_ticked = is_granted if choices.shown is None else topic.name in choices.shown
            if (topic.name in choices.topics) == was_ticked:
                continue
            if was_ticked:
                self._stop(connection, context, topic.name)
                changed[topic.name] = "withdrawn"
                continue
            if wording is None:
                wording = from_pages.store_shown_wording(
                    connection, preferences_wording(context), claimed, now=context.now
                )
            from_pages.confirm_topic(connection, context.person, topic.name, self._act(context, wording))
            changed[topic.name] = "granted"
        return changed

    def _stop(self, connection: sa.Connection, context: PageContext, topic: str | None) -> None:
        from_pages.withdraw_topic(connection, context.person, topic, self._act(context))

    def _act(self, context: PageContext, wording: str = "") -> from_pages.PageAct:
        return from_pages.PageAct(context.now, context.evidence("preferences"), self._key, wording)


def read_preference_form(context: PageContext, form: Form) -> PreferenceForm:
    """Return the submitted form. A missing field changes nothing (an older page may not have it)."""
    wanted: dict[PreferenceKind, int] = {}
    faults: set[str] = set()
    often = _first_value(form, "often")
    if often is not None:
        days = int(often) if often.isascii() and often.isdigit() and len(often) <= 3 else -1
        faults |= set() if days * DAY in GAPS else {"often"}
        wanted["often"] = max(days, 0) * DAY
    zone = _first_value(form, "zone") or None
    if zone is not None and zone not in list_zones() and zone != context.person.zone:
        faults.add("zone")
    locale = _first_value(form, "locale") or None
    if locale is not None and locale not in _offered_locales(context):
        faults.add("locale")
    pause = _first_value(form, "pause")
    if pause is not None:
        until = _read_pause(context, pause, zone if "zone" not in faults else None)
        faults |= {"pause"} if until is None else set()
        wanted["pause"] = until or 0
    if "tracking_shown" in form:
        wanted["tracking"] = 0 if "tracking" in form else 1
    shown = _first_value(form, "shown")
    return PreferenceForm(
        frozenset(form.get("topic", ())),
        frozenset(shown.split()) if shown is not None else None,
        wanted,
        locale,
        zone,
        frozenset(faults),
    )


def preferences_wording(context: PageContext) -> Wording:
    """Return the page's wording about consent, without the person's address."""
    words = context.words
    texts = [words["preferences_title"], words["preferences_topics"]]
    for topic in context.brand.topics:
        texts += [topic.title, topic.about]
    return Wording("preferences", words["lang"], (*texts, words["preferences_save"]))


def _first_value(form: Form, name: str) -> str | None:
    values = form.get(name)
    return values[0].strip() if values else None


def _read_pause(context: PageContext, text: str, zone: str | None) -> Instant | None:
    """Return when a pause ends: midnight of that day in the person's zone; 0 for no pause, None for no valid date."""
    if not text:
        return 0
    try:
        day = date.fromisoformat(text)
        until = at_local_time(day, 0, zone or _zone_of(context))
    except (ValueError, OverflowError):
        return None
    if until <= context.now:
        return 0 if until > context.now - DAY else None
    return until if until <= context.now + PAUSE_MAX else None


def _zone_of(context: PageContext) -> str:
    known = context.person.zone
    if known and known in list_zones():
        return known
    return context.loaded.playbook.default_zone if context.loaded else "UTC"


def _offered_locales(context: PageContext) -> tuple[str, ...]:
    return tuple(context.loaded.playbook.locales) if context.loaded else ()


def _best_locale(context: PageContext) -> str:
    """Return the programme's locale that fits the person: the same tag, else the same language, else the first."""
    wanted = (context.person.locale or context.words["lang"]).lower()
    locales = _offered_locales(context)
    language = wanted.partition("-")[0]
    same = [locale for locale in locales if locale.lower() == wanted]
    same += [locale for locale in locales if locale.lower().partition("-")[0] == language]
    return (same or [*locales, ""])[0]


def _after(preferences: Preferences, wanted: Mapping[PreferenceKind, int]) -> Preferences:
    return Preferences(
        wanted.get("often", preferences.min_gap),
        wanted.get("pause", preferences.paused_until),
        bool(wanted["tracking"]) if "tracking" in wanted else preferences.untracked,
    )


def _submitted_topics(context: PageContext, choices: PreferenceForm) -> dict[str, str]:
    return {
        topic.name: "granted" if topic.name in choices.topics else "withdrawn"
        for topic in context.brand.topics
    }


def _render(
    context: PageContext,
    changed: Mapping[str, str],
    *,
    saved: bool = False,
    faults: frozenset[str] = frozenset(),
    is_moving: bool = False,
    shown: str | None = None,
    status: int = 200,
) -> Response:
    person, zone = context.person, _zone_of(context)
    paused = person.preferences.paused_until if person.preferences.paused_until > context.now else 0
    topics = [
        {
            "name": topic.name,
            "title": topic.title,
            "about": topic.about,
            "state": changed.get(topic.name, person.state(topic.name)),
        }
        for topic in context.brand.topics
    ]
    ticked = " ".join(str(topic["name"]) for topic in topics if topic["state"] == "granted")
    return context.render(
        "preferences",
        status=status,
        shown=ticked if shown is None else shown,
        moving=context.words["preferences_moving"] if is_moving else "",
        lead=context.text("preferences_lead"),
        action=f"/p/{context.token}",
        wording=preferences_wording(context).version,
        saved=saved,
        faults=faults,
        topics=topics,
        often=[(gap // DAY, gap == person.preferences.min_gap) for gap in GAPS],
        pause=str(to_local(paused, zone).date()) if paused else "",
        earliest=str(to_local(context.now + DAY, zone).date()),
        latest=str(to_local(context.now + PAUSE_MAX - DAY, zone).date()),
        tracked=not person.preferences.untracked,
        locales=[(locale, LANGUAGES.get(locale, locale)) for locale in _offered_locales(context)],
        locale=_best_locale(context),
        zones=_zones_by_area(zone),
        zone=zone,
        requests=request_links(context),
    )


def _zones_by_area(chosen: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the time zones by area: (area, [(zone, place)])."""
    areas: dict[str, list[tuple[str, str]]] = {}
    for name in dict.fromkeys((*list_zones(), chosen)):
        area, slash, place = name.partition("/")
        areas.setdefault(area if slash else "", []).append((name, (place or area).replace("_", " ")))
    return list(areas.items())
