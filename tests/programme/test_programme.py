"""The programme as a whole: its required parts, and the completeness of its documentation."""

import re
from pathlib import Path

from nurture.domain.measure import (
    MARKETING,
    PURPOSES,
    LetCoupon,
    LetEndOfMonth,
    LetIn,
    MailStep,
    Trigger,
    Wait,
)
from tests.programme.samples import loaded, mails

PAGE = Path(__file__).parents[2] / "docs" / "programme.md"

MEASURES = {
    "any/confirm_subscription",
    "any/confirm_request",
    "any/address_changed",
    "any/address_change_requested",
    "lead/subscribe/welcome_series",
    "lead/subscribe/interest_digest",
    "lead/convert/abandoned_cart",
    "lead/convert/back_in_stock",
    "lead/any/appointment",
    "customer/any/order_confirmation",
    "customer/any/order_shipped",
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
    assert {type(measure.trigger) for measure in measures} == set(Trigger.__args__)
    assert {type(step) for measure in measures for step in measure.steps} == {MailStep, *Wait.__args__}
    assert {measure.purpose for measure in measures} == set(PURPOSES)
    lets = {type(let) for measure in measures for let in measure.let.values()}
    assert lets == {LetCoupon, LetEndOfMonth, LetIn}
    assert any(measure.variants for measure in measures)
    assert any(measure.holdout for measure in measures)
    assert any(measure.series for measure in measures)
    assert {measure.track for measure in measures} == {"any", "lead", "customer"}


def test_an_occasion_of_both_tracks_has_a_measure_on_each_with_its_own_words() -> None:
    playbook, files = loaded().playbook, loaded().files
    twins = [("lead/convert/abandoned_cart", "left"), ("lead/convert/back_in_stock", "back")]
    twins += [("lead/any/appointment", "confirmation"), ("lead/any/appointment", "reminder")]
    for path, mail in twins:
        twin = f"customer/any/{path.rpartition('/')[2]}"
        assert playbook.measures[path].trigger == playbook.measures[twin].trigger
        for locale in ("en", "zh-CN"):
            assert files[f"{path}/{mail}.{locale}.txt"] != files[f"{twin}/{mail}.{locale}.txt"]


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
    for locale in playbook.locales:
        asked = set(
            re.findall(r"\?answer=(\w+)", files[f"lead/subscribe/welcome_series/welcome.{locale}.mjml"])
        )
        assert asked == {persona.name for persona in playbook.personas}
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
