"""One self-contained page about a simulation: pictures with their tables, a person's story, differences.

It loads nothing, has no script, and its bytes depend on the simulation alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup
from ruamel.yaml import YAML

from nurture.app.pictures import draw_measure_journey
from nurture.app.simulations.run import Played
from nurture.app.simulations.story import Story, tell_story
from nurture.domain.errors import InputError
from nurture.domain.instant import to_iso
from nurture.domain.measure import PURPOSES
from nurture.pictures import (
    AreaRow,
    FunnelRow,
    Picture,
    draw_areas,
    draw_bars,
    draw_timeline,
    page_part,
    stylesheet,
)
from nurture.reports.simulated.journeys import JourneyCounts

#: The languages that the page has words in.
LANGUAGES: Final = ("en", "zh-CN")
_HERE: Final = Path(__file__).parent
_STATES: Final = ("planned", "sent", "skipped", "cancelled", "expired", "failed", "in_doubt", "waiting")

Words = Mapping[str, Any]


@cache
def load_words(language: str) -> Words:
    """Return the words of a language. Raises InputError for one that the page does not have."""
    if language not in LANGUAGES:
        raise InputError(f"--locale {language}: the page is written in {' and '.join(LANGUAGES)}")
    words: Words = YAML(typ="safe", pure=True).load((_HERE / f"words.{language}.yaml").read_text("utf-8"))
    return words


def render_page(
    played: Played,
    *,
    language: str = "en",
    is_history: bool = False,
    compared: Mapping[str, Any] | None = None,
) -> str:
    """Return the page of a simulation. compared: as `compare_played` returns it. Raises InputError.

    is_history: people are real, so nobody's mails are shown.
    """
    words = load_words(language)
    story = None if is_history else tell_story(played)
    values = {
        "language": language,
        "w": words,
        "name": played.loaded.playbook.name,
        "lead": words["lead_history" if is_history else "lead"],
        "start": to_iso(played.start)[:10],
        "end": to_iso(played.end)[:10],
        "summary": played.summary,
        "counts": played.counts,
        "states": _STATES,
        "mails_per_person": _mean(played),
        "pictures": {
            "days": _picture(_days(played, words), words),
            "stages": _picture(_stages(played, words), words),
            "persons": _picture(_persons(played, words), words),
        },
        "journeys": _journeys(played, words),
        "reason": partial(_reason, words),
        "because": partial(_because, words),
        "story": story,
        "story_picture": None if story is None else _picture(_timeline(played, story, words), words),
        "is_history": is_history,
        "compared": compared,
        "css": Markup((_HERE / "page.css").read_text("utf-8") + stylesheet()),  # noqa: S704 - our own text
    }
    return _template().render(values)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda value: "–" if value is None else f"{value:,}"
    return environment.get_template("page.html")


def _mean(played: Played) -> str:
    people = len(played.ledger.people)
    return f"{played.summary['mails'] / people:.1f}" if people else "–"


def _reason(words: Words, name: str) -> str:
    """Return a reason in words, with its name where it has one."""
    shown = words["reasons"].get(name)
    return name.replace("_", " ") if shown is None else str(shown)


def _because(words: Words, text: str) -> str:
    """Return in words why nobody got a mail: a sentence, or reasons with their numbers."""
    if text in words["reasons"]:
        return _reason(words, text)
    parts = (part.rpartition(" ") for part in text.split(", "))
    return "; ".join(f"{_reason(words, name)} {number}" for name, _, number in parts)


def _picture(picture: Picture, words: Words) -> Markup:
    return Markup(page_part(picture, summary=words["as_table"]))  # noqa: S704 - it escapes its texts


def _titled(words: Words, title: str) -> dict[str, str]:
    return {**{name: text for name, text in words.items() if isinstance(text, str)}, "title": title}


def _days(played: Played, words: Words) -> Picture:
    groups = [name for name in PURPOSES if any(day.get(name) for day in played.counts.days)]
    return draw_areas(
        _area_rows(played.counts.days, groups), groups, _titled(words, words["days"]), id_="days"
    )


def _stages(played: Played, words: Words) -> Picture:
    groups = [stage.name for stage in played.loaded.playbook.stages]
    groups += sorted({name for day in played.counts.stages for name in day} - {*groups, "day"})
    rows = _area_rows(played.counts.stages, groups)
    return draw_areas(rows, groups, _titled(words, words["stages"]), id_="stages")


def _area_rows(days: Iterable[Mapping[str, Any]], groups: Sequence[str]) -> list[AreaRow]:
    return [AreaRow(str(day["day"]), tuple(day.get(name, 0) for name in groups)) for day in days]


def _persons(played: Played, words: Words) -> Picture:
    rows = played.counts.per_person
    bars = [
        FunnelRow(
            words["or_more" if row is rows[-1] else "mail_count"].format(count=row["mails"]), row["people"]
        )
        for row in rows
    ]
    named = {**_titled(words, words["persons"]), "label": words["mails"]}
    return draw_bars(bars, named, id_="persons")


def _timeline(played: Played, story: Story, words: Words) -> Picture:
    named = {
        **_titled(words, words["story"].format(name=story.person.name)),
        "withheld": words["withheld_mail"],
        "label": words["step"],
    }
    ends = (to_iso(played.start)[:10], to_iso(played.end)[:10])
    return draw_timeline(story.spans, named, id_="story", ends=ends)


def _journeys(played: Played, words: Words) -> list[dict[str, Any]]:
    """Return each measure with its picture and its counts, those with the most runs first."""
    rows = []
    for path, measure in played.loaded.playbook.measures.items():
        counts = played.journeys.get(measure.root, JourneyCounts())
        if not counts.entered:
            continue
        people = {step.id: counts.came[step.id] for step in measure.steps}
        people |= {name: number for name, number in counts.came.items() if "/" in name}
        title = words["title_journey"].format(measure=path)
        picture = draw_measure_journey(measure, {"": counts.entered, **people}, _titled(words, title))
        rows.append({"path": path, "counts": counts, "picture": _picture(picture, words)})
    return sorted(rows, key=lambda row: (-row["counts"].entered, row["path"]))
