"""The programme as a whole: its required parts, and the completeness of its documentation."""

import re
from pathlib import Path

import pytest

from nurture.domain.measure import (
    MARKETING,
    PURPOSES,
    LetBusiness,
    LetCoupon,
    LetEndOfMonth,
    LetIn,
    MailStep,
    OnEntityDate,
    OnMoment,
    OnStage,
    Trigger,
    Wait,
    WaitBusinessTime,
    WaitFromTable,
    WaitUntilMoment,
)
from nurture.domain.playbook import LabelFact
from tests.programme.samples import loaded, mails, parts

PAGE = Path(__file__).parents[2] / "docs" / "programme.md"

MEASURES = {
    "any/confirm_subscription",
    "any/confirm_request",
    "any/address_changed",
    "any/address_change_requested",
    "any/appointment_cancelled",
    "any/order_cancelled",
    "any/refund_confirmed",
    "any/payment_failed",
    "lead/any/welcome_series",
    "lead/any/interest_digest",
    "lead/any/abandoned_cart",
    "lead/any/back_in_stock",
    "lead/any/appointment",
    "customer/any/order_confirmation",
    "customer/any/order_shipped",
    "customer/any/delivery_delayed",
    "customer/any/invoice",
    "customer/any/welcome_series",
    "customer/any/interest_digest",
    "customer/any/abandoned_cart",
    "customer/any/appointment",
    "customer/any/second_order_coupon",
    "customer/any/back_in_stock",
    "customer/any/nps_survey",
    "customer/any/birthday",
    "customer/any/case_acknowledged",
    "lead/any/case_acknowledged",
    "customer/excite/decision_confirmed",
    "customer/advocate/presale_notice",
}


def test_these_measures_ship() -> None:
    assert set(loaded().playbook.measures) == MEASURES


def test_every_mail_is_there_in_every_language_with_both_parts() -> None:
    playbook = loaded().playbook
    there = {(mail.measure, mail.mail, mail.locale) for mail in mails() if not mail.variant}
    named = {
        (measure.path, step.mail, locale)
        for measure in playbook.measures.values()
        for step in measure.steps
        if isinstance(step, MailStep)
        for locale in ("en", "zh-CN")
    }
    assert there == named
    for mail in mails():
        assert f"{mail}.mjml" in loaded().files
        assert f"{mail}.txt" in loaded().files


def test_every_kind_of_trigger_wait_purpose_and_let_has_an_example() -> None:
    measures = loaded().playbook.measures.values()
    # No mail waits for a stage: each of them follows an act, a thing or a date. Their first mails are still to come.
    assert {type(measure.trigger) for measure in measures} == set(Trigger.__args__) - {
        *(OnStage, OnMoment, OnEntityDate)
    }
    without_example = {WaitFromTable, WaitBusinessTime, WaitUntilMoment}
    steps = {type(step) for measure in measures for step in measure.steps}
    assert steps == {MailStep, *Wait.__args__} - without_example
    assert {measure.purpose for measure in measures} == set(PURPOSES)
    lets = {type(let) for measure in measures for let in measure.let.values()}
    assert lets == {LetBusiness, LetCoupon, LetEndOfMonth, LetIn}
    assert any(measure.variants for measure in measures)
    assert any(measure.holdout for measure in measures)
    assert any(measure.series for measure in measures)
    assert {measure.track for measure in measures} == {"any", "lead", "customer"}


def twins() -> list[tuple[str, str]]:
    """Return (lead's measure, customer's measure) of each occasion that both tracks have."""
    measures = loaded().playbook.measures
    return sorted(
        (path, twin)
        for path in measures
        if path.startswith("lead/any/") and (twin := path.replace("lead/", "customer/", 1)) in measures
    )


def test_an_occasion_of_both_tracks_has_a_measure_on_each() -> None:
    measures = loaded().playbook.measures
    assert [path.rpartition("/")[2] for path, _ in twins()] == [
        "abandoned_cart",
        "appointment",
        "back_in_stock",
        "case_acknowledged",
        "interest_digest",
        "welcome_series",
    ]
    for lead, customer in twins():
        assert measures[lead].trigger == measures[customer].trigger
        assert [step.id for step in measures[lead].steps] == [step.id for step in measures[customer].steps]


def sentences(path: str, locale: str) -> set[str]:
    """Return the sentences of a measure's text parts, without those of the frame."""
    found: set[str] = set()
    for mail in mails():
        if (mail.measure, mail.locale) == (path, locale):
            body = parts(mail).text.partition("\n--")[0]
            found |= {part.strip() for part in re.split(r"(?<=[.!?])\s+|(?<=[。！？；])|\n", body)}
    # Greeting, signature, goods and facts of the sample are no sentences of the author's.
    return {part for part in found if part.endswith((".", "?", "!", "。", "？", "！", "；"))}


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_twins_share_no_sentence(locale: str) -> None:
    for lead, customer in twins():
        assert sentences(lead, locale)
        assert sentences(lead, locale) & sentences(customer, locale) == set(), customer


def test_a_move_keeps_the_name_by_which_people_are_known() -> None:
    measures = loaded().playbook.measures
    roots = {measures[path].path: measures[path].root for path in MEASURES}
    assert {path: root for path, root in roots.items() if path != root} == {
        "lead/any/welcome_series": "lead/subscribe/welcome_series",
        "lead/any/interest_digest": "lead/subscribe/interest_digest",
        "lead/any/abandoned_cart": "lead/convert/abandoned_cart",
        "lead/any/back_in_stock": "lead/convert/back_in_stock",
    }


def test_an_appointment_handed_over_goes_on_at_the_same_step() -> None:
    measures = loaded().playbook.measures
    lead, customer = measures["lead/any/appointment"], measures["customer/any/appointment"]
    assert lead.handover == customer.path
    assert [step.id for step in lead.steps] == [step.id for step in customer.steps]
    # The calendar entry keeps its identity.
    uids = {
        step.calendar.uid
        for step in (*lead.steps, *customer.steps)
        if isinstance(step, MailStep) and step.calendar
    }
    assert len(uids) == 1


def test_every_mail_of_marketing_has_a_topic_with_words() -> None:
    playbook, files = loaded().playbook, loaded().files
    for measure in playbook.measures.values():
        assert (measure.topic is not None) is (measure.purpose in MARKETING)
    for locale in playbook.locales:
        words = files[f"_layout/strings.{locale}.yaml"]
        for topic in playbook.topics:
            assert f"\ntopic_{topic}: " in words
            assert f"\ntopic_{topic}_about: " in words


def test_every_answer_of_a_survey_has_words_for_its_page() -> None:
    playbook, files = loaded().playbook, loaded().files
    persona = playbook.facts["persona"]
    assert isinstance(persona, LabelFact)
    for locale in playbook.locales:
        asked = set(re.findall(r"\?answer=(\w+)", files[f"lead/any/welcome_series/welcome.{locale}.mjml"]))
        assert asked == persona.texts
        for answer in asked:
            assert f"\npersona_{answer}: " in files[f"_layout/strings.{locale}.yaml"]


def test_the_page_about_the_programme_names_every_measure_and_mail() -> None:
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    paths = [row.split("`")[1] for row in rows]
    first, second = [set(part) for part in (paths[: len(MEASURES)], paths[len(MEASURES) : 2 * len(MEASURES)])]
    assert first == second == MEASURES
    for measure in loaded().playbook.measures.values():
        row = next(row for row in rows if row.startswith(f"| `{measure.path}`"))
        for step in measure.steps:
            if isinstance(step, MailStep):
                assert f"`{step.mail}`" in row, f"{measure.path}: {step.mail} is missing in its row"
