"""The words in which a verdict is told: to the person who owns the programme, in the audit log and at a pause."""

from typing import Final

from nurture.domain.experiment.averages import ArmSums
from nurture.domain.instant import Instant
from nurture.domain.measure import Measure
from nurture.measurement.trials import MeasuredTrial
from nurture.transports.notice import Notice

#: Action of a verdict -> what was done, for the subject and the first sentence.
_DONE: Final = {
    "stopped": "is stopped",
    "sent_back": "is sent back: nobody enters it any more, people in it finish",
    "shrunk": "works, so fewer people are kept without it from now on",
    "told:harms": "does harm; it goes on, because people need its mail",
    "told:misses": "does not keep its promise; it goes on, because people need its mail",
    "told:split": "has arms that are not split as meant, so no figure of it can be trusted",
}


def describe(measured: MeasuredTrial, verdict: str) -> str:
    """Return what the figures say, in one sentence without a person in it."""
    judgement = measured.judgement
    people = f"{judgement.treated.n:,} people with and {judgement.control.n:,} without it"
    if verdict == "split":
        return f"the arms are not split as meant among {sum(map(sum, measured.trial.enrolled.values())):,} people"
    if verdict == "variant":
        return f"variants: {_race(measured)}"
    if verdict == "harms" and (guard := _broken_guard(measured)):
        return guard
    value = f"{_value(judgement.treated, measured)} against {_value(judgement.control, measured)}"
    if judgement.control.n:
        return f"{verdict}: {value} ({people})"
    reached = f"{_value(judgement.treated, measured)} of {judgement.treated.n:,} people"
    return f"{verdict}: {reached}, {measured.newest.expect} promised"


def verdict_notice(
    measure: Measure, action: str, reason: str, *, sender: str, recipient: str, at: Instant
) -> Notice:
    """Return the mail to the owner of the programme about one verdict."""
    done = _DONE.get(action) or _variant_done(action)
    text = (
        f"{measure.path} {done}.\n\n{reason}.\n\n"
        f"Its goal: {measure.goal}.\n\n"
        f"All figures: nurture report measure {measure.path}\n"
    )
    if action in ("stopped", "sent_back"):
        text += f"After a change of the measure: nurture resume {measure.path} (a new trial begins)\n"
    return Notice(
        sender=sender,
        name="nurture",
        recipient=recipient,
        reply_to=(),
        subject=f"{measure.path} {done.partition(':')[0].partition(',')[0]}",
        text=text,
        at=at,
        key=f"verdict:{measure.root}:{action}:{at}",
    )


_PROGRAMME: Final = {
    "works": "all marketing together brings something",
    "harms": "all marketing together does harm; it goes on, and you decide",
    "misses": "all marketing together does not keep its promise",
    "reaches": "all marketing together keeps its promise",
    "split": "the people without marketing are not drawn as meant, so no figure can be trusted",
}


def programme_notice(verdict: str, reason: str, *, sender: str, recipient: str, at: Instant) -> Notice:
    """Return the mail about a verdict on the whole programme."""
    done = _PROGRAMME[verdict]
    return Notice(
        sender=sender,
        name="nurture",
        recipient=recipient,
        reply_to=(),
        subject=f"programme: {done.partition(';')[0].partition(',')[0]}",
        text=f"{done[0].upper()}{done[1:]}.\n\n{reason}.\n\nAll figures: nurture report measure programme\n",
        at=at,
        key=f"verdict:programme:{verdict}:{at}",
    )


def _variant_done(action: str) -> str:
    """Return the words for the end of a variant."""
    what, _, name = action.partition(":")
    if what == "won":
        return f"keeps the variant {name}: everybody who enters gets it, and the others end"
    return f"ends the variant {name}: another one, or no mail, is shown to be better"


def _race(measured: MeasuredTrial) -> str:
    """Return the value and the people of each arm."""
    arms = {} if measured.race is None else measured.race.arms
    words = [f"{name} {_value(sums, measured)} of {sums.n:,} people" for name, sums in arms.items() if sums.n]
    return ", ".join(words)


def _broken_guard(measured: MeasuredTrial) -> str:
    """Return the words of the guard that tripped; "" when none did and the difference is what harms."""
    judgement = measured.judgement
    if not judgement.guards or judgement.log_e_harm >= max(judgement.guards.values()):
        return ""
    name = max(judgement.guards, key=lambda each: judgement.guards[each])
    count = measured.trial.guarded[name]
    return f"{count:,} of {measured.trial.mails:,} mails were {_GUARDS[name]}" if count else ""


_GUARDS: Final = {"unsubscribed": "unsubscribed from", "complained": "reported as spam"}


def _value(sums: ArmSums, measured: MeasuredTrial) -> str:
    """Return the mean of an arm: a rate in percent, or money of each person."""
    if not measured.trial.is_amount:
        return f"{100 * sums.mean:.2f} %"
    return f"{sums.mean / 100:.2f} {measured.newest.currency} a person".replace("  ", " ")
