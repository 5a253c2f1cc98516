"""Compose the mail of a preview: its step, its language and variant, and the values of a sample or a person.

With a person's values, values of a run (the event that started it, its coupon) come from the person's newest run of
the measure, or from the sample when there is none. Links in a preview have no valid token.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from nurture.app.previews.person_values import PersonValues
from nurture.app.previews.source import PreviewSource
from nurture.app.sends.hand_in import find_measure
from nurture.domain.errors import InputError
from nurture.domain.measure import MailStep, Measure, NotifyStep
from nurture.domain.playbook import LabelFact, Playbook
from nurture.playbook import LoadedPlaybook
from nurture.rendering.context import MailContext
from nurture.rendering.sample import read_sample, sample_context, sample_names


@dataclass(frozen=True, slots=True)
class PreviewOptions:
    """The choices of a preview; None: the programme's default."""

    # WHO whose own values are used.
    who: str | None = None
    locale: str | None = None
    variant: str | None = None
    persona: str | None = None
    # The name of another sample: `office` for sample.office.json.
    sample: str | None = None


#: The sample in its own language, with the first variant.
NO_OPTIONS = PreviewOptions()


@dataclass(frozen=True, slots=True)
class PreviewMail:
    """A mail ready to be rendered for a preview."""

    loaded: LoadedPlaybook
    measure: Measure
    step: MailStep
    # "" without variants.
    variant: str
    frozen: MailContext
    # Names whose values are the sample's although a person's were asked for, and why.
    notes: tuple[str, ...] = ()


def compose_preview(source: PreviewSource, target: str, options: PreviewOptions = NO_OPTIONS) -> PreviewMail:
    """Return a measure's mail, frozen from a sample or a person's values. Raises NotFoundError or InputError."""
    loaded = source.loaded
    measure, step = find_step(loaded, target)
    if not isinstance(step, MailStep):
        message = f"{target} mails owners and no person; show it with: nurture preview {target}"
        raise InputError(message)
    sample, notes = values_of(source, measure, options)
    wanted = options.locale or str(sample.get("contact", {}).get("locale") or loaded.playbook.default_locale)
    variant = _variant(measure, options.variant)
    frozen = sample_context(
        loaded.templates,
        measure=measure.path,
        step=step.id,
        mail=step.mail,
        variant=variant,
        locale=wanted,
        purpose=measure.purpose,
        topic=measure.topic,
        sample=sample,
    )
    if options.locale is not None and frozen["locale"] != options.locale:
        notes = (*notes, f"no mail in {options.locale}: people there get the one in {frozen['locale']}")
    return PreviewMail(loaded, measure, step, variant, frozen, notes)


def _variant(measure: Measure, name: str | None) -> str:
    names = [variant.name for variant in measure.variants]
    if name is None:
        return names[0] if names else ""
    if name not in names:
        has = f"it has {', '.join(names)}" if names else "it has none"
        raise InputError(f"{measure.path} has no variant {name!r}; {has}")
    return name


def values_of(
    source: PreviewSource, measure: Measure, options: PreviewOptions
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the values of a sample; with a person theirs in its place, and what stays the sample's.

    Raises InputError for a sample, persona or person that there is not, NotFoundError.
    """
    files, playbook = source.loaded.files, source.loaded.playbook
    named = options.sample
    if options.persona is not None:
        _require("persona", options.persona, _personas(playbook))
        if named is None and options.persona in sample_names(files, measure.path, playbook.locales):
            named = options.persona
    if named is not None:
        _require("sample", named, sample_names(files, measure.path, playbook.locales))
    locale, notes = options.locale or playbook.default_locale, tuple[str, ...]()
    sample = read_sample(files, measure.path, named or "", locale=locale)
    if options.who is not None:
        if source.services is None:
            raise InputError(f"--as {options.who}: there is no database here; leave it out to use the sample")
        services = source.services
        with services.database.read() as connection:
            now = services.clock.now()
            person = PersonValues(connection, source.loaded, measure, options.who, now=now)
            sample, notes = person.fill(sample)
    if options.persona is not None:
        sample = {**sample, "contact": {**sample.get("contact", {}), "persona": options.persona}}
    return sample, notes


def _personas(playbook: Playbook) -> list[str]:
    fact = playbook.facts.get("persona")
    labels = fact.texts if isinstance(fact, LabelFact) else frozenset[str]()
    return sorted({*labels, *(persona.name for persona in playbook.personas)})


def _require(kind: str, name: str, known: Iterable[str]) -> None:
    names = sorted(known)
    if name not in names:
        near = get_close_matches(name, names, n=1)
        has = f"did you mean {near[0]}?" if near else f"known are {', '.join(names) or 'none'}"
        raise InputError(f"no {kind} {name!r}: {has}")


def find_step(loaded: LoadedPlaybook, target: str) -> tuple[Measure, MailStep | NotifyStep]:
    """Return the measure and the step of a mail that MEASURE[/STEP] names, mails to people before those to owners.

    Raises NotFoundError or InputError.
    """
    measures = loaded.playbook.measures
    path, _, step_id = target.rpartition("/")
    if target in measures or path not in measures:
        path, step_id = target, ""
    measure = find_measure(loaded.playbook, path)
    mails: list[MailStep | NotifyStep] = [step for step in measure.steps if isinstance(step, MailStep)]
    mails += [step for step in measure.steps if isinstance(step, NotifyStep)]
    for step in mails:
        if step_id in ("", step.id):
            return measure, step
    message = f"{path} has no mail step {step_id!r}; it has {', '.join(step.id for step in mails)}"
    raise InputError(message)
