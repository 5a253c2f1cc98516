"""The weekly task: learn the models that the playbook names, and publish what they say as a new version."""

from pathlib import Path
from typing import Any, Final, cast

from nurture.app.models.learn import learn
from nurture.app.services import Services
from nurture.app.values.publish import publish
from nurture.app.values.read_file import Number, NumbersFile
from nurture.contacts.value_queries import load_numbered
from nurture.domain.counts import Counts
from nurture.domain.errors import SettingsError
from nurture.domain.instant import HOUR, WEEK, Instant, to_iso
from nurture.domain.playbook import PublishedValue
from nurture.learning.results import LearntModel, ModelName, Refusal
from nurture.learning.run_queries import ModelRun, add_run, names_of_week
from nurture.measurement.decision_queries import take_slot
from nurture.playbook.value_queries import newest_versions
from nurture.reports.learning import back_test_values, weight_values
from nurture.runtime.log import get_logger

_log = get_logger("learning")
#: The actor, in versions and in the audit log.
ACTOR: Final = "model"
_MILLION: Final = 1_000_000
#: A number has at most nine digits before the point.
_NUMBER_MAX: Final = 999_999_999


def learn_weekly(services: Services) -> Counts:
    """Learn each model of the active playbook once a week (UTC); any number of processes may call it, at any rate.

    Counts `learnt` and the result of each. A model that failed is tried again in the next hour.
    """
    now = services.clock.now()
    week, counts = now - now % WEEK, Counts()
    with services.database.read() as connection:
        if services.playbooks.active_id(connection) is None:
            return counts
        values = services.playbooks.active(connection).playbook.values
        wanted = [value for _, value in sorted(values.items()) if value.model]
        done = names_of_week(connection, week) if wanted else set()
    for value in wanted:
        if value.name not in done and _is_mine(services, value.name, now):
            counts.add(_learn(services, value, week=week, now=now))
    return counts


def _is_mine(services: Services, name: str, now: Instant) -> bool:
    """Tell whether this process is the first to try in this hour."""
    slot = now - now % HOUR
    return services.database.run(lambda connection: take_slot(connection, f"learn:{name}", slot, now=now))


def _learn(services: Services, value: PublishedValue, *, week: Instant, now: Instant) -> Counts:
    try:
        with services.database.read() as connection:
            playbook = services.playbooks.active(connection).playbook
            name = cast("ModelName", value.model)
            model = learn(connection, name, playbook, now=now, horizon=value.horizon)
            is_first = value.name not in newest_versions(connection)
            numbered = load_numbered(connection, value.name)
    except SettingsError as error:
        _log.error("a model cannot be learnt", value=value.name, reason=str(error))
        return Counts(not_learnt=1)
    version = None
    if isinstance(model, LearntModel) and _is_to_publish(model, is_first=is_first):
        version = _publish(services, value, model, numbered)
    run = _run(value, model, week=week, now=now, version=version)
    services.database.run(lambda connection: add_run(connection, run))
    return Counts(learnt=1, **{run.result: 1})


def _is_to_publish(model: LearntModel, *, is_first: bool) -> bool:
    """Tell whether the numbers are published: better than recency, or the first ones by recency itself.

    Recency says who comes back, and nothing of how much they spend.
    """
    return model.rule == "model" or (is_first and model.name != "value")


def _publish(services: Services, value: PublishedValue, model: LearntModel, numbered: set[int]) -> int:
    """Publish the numbers, and take back those of people whom the model says nothing of; return the version."""
    numbers: dict[int, int | None] = dict.fromkeys(sorted(numbered))
    numbers |= {
        contact: round(min(max(number, -_NUMBER_MAX), _NUMBER_MAX) * _MILLION)
        for contact, number in model.numbers.items()
    }
    rows = [
        Number(line, f"contact:{contact}", number)
        for line, (contact, number) in enumerate(sorted(numbers.items()), start=1)
    ]
    file = NumbersFile(Path(f"{ACTOR}:{value.model}"), {value.name: rows})
    answer = publish(services, file, actor=f"{ACTOR}:{value.model}")
    return int(answer["values"][0]["version"])


def _run(
    value: PublishedValue,
    model: LearntModel | Refusal,
    *,
    week: Instant,
    now: Instant,
    version: int | None,
) -> ModelRun:
    if isinstance(model, Refusal):
        return ModelRun(value.name, week, now, value.model, model.code, model.text, None, {})
    figures: dict[str, Any] = {
        "rule": model.rule,
        "until": to_iso(now),
        "people": len(model.numbers),
        "back_test": back_test_values(model.back_test),
        "weights": weight_values(model),
    }
    result = "kept" if version is None else "published"
    reason = "" if model.rule == "model" else "no better than recency on the newest period"
    return ModelRun(value.name, week, now, value.model, result, reason, version, figures)
