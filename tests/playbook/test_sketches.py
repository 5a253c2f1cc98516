"""The language says the whole programme: every measure stands in `tests/playbook/programme`, without its mails."""

from functools import lru_cache

import pytest

from nurture.playbook import LoadedPlaybook, inspect, rebuild
from nurture.playbook.fault import Faults
from tests.playbook.sketches import sketched

#: Track -> its measures. Those of `both` have a measure on each track, with its own words.
MEASURES = {
    "any": "confirm_subscription order_cancelled refund_confirmed appointment_cancelled",
    "both": """
        welcome_series interest_digest abandoned_cart back_in_stock price_drop browse_followup webinar_invitation
        webinar_reminder appointment appointment_thanks configuration_saved quiet_reader quote_followup
        case_acknowledged detractor_care advisor_brief
    """,
    "lead": """
        friend_welcome met_you_there problem_guide subscribe_invitation persona_course entry_offer trial_guide
        sample_followup quote_declined talk_summary
    """,
    "customer": """
        order_confirmation payment_due payment_receipt payment_failed order_shipped order_delivered
        late_delivery_apology subscription_started subscription_renewed subscription_payment_failed
        subscription_changed subscription_cancelled case_resolved case_followup project_meeting
        project_stage_acceptance technical_choice project_reminder renewal_notice usage_notice price_lowered_for_you
        thank_you suggestion_thanks you_asked_we_did nps_survey csat passive_value review_request review_thanks
        second_order_coupon birthday anniversary new_year_wishes spring_festival_wishes mid_autumn_wishes at_risk_care
        cancellation_question winback goodbye decision_confirmed your_goal welcome_guide first_success rescue_unused
        how_is_it_going cross_sell replenishment upsell_limit renewal_offer volume_price member_invitation
        presale_notice member_discount community_invitation case_story recognition referral_invitation
        referral_progress referral_told referral_reward
        points_statement reward_unlocked insider_preview ambassador
    """,
}


@lru_cache(maxsize=1)
def checked() -> Faults:
    return inspect(sketched(), render=True)


@lru_cache(maxsize=1)
def loaded() -> LoadedPlaybook:
    return rebuild(sketched(), id_=0)


def test_the_check_has_nothing_against_the_whole_programme() -> None:
    assert [str(fault) for fault in checked().sorted()] == []
    # Some figures are gross until the value of coupons is taken off them.
    warnings = [warning for warning in checked().warnings if "coupons" not in warning.what]
    assert [str(warning) for warning in warnings] == []


def test_every_measure_is_written() -> None:
    wanted = {("any", name) for name in MEASURES["any"].split()}
    wanted |= {(track, name) for track in ("lead", "customer") for name in MEASURES["both"].split()}
    wanted |= {(track, name) for track in ("lead", "customer") for name in MEASURES[track].split()}
    written = {(path.partition("/")[0], path.rpartition("/")[2]) for path in loaded().playbook.measures}
    assert written == wanted


@pytest.mark.parametrize(
    ("path", "old", "new", "what"),
    [
        ("customer/any/order_shipped", "entity: shipment", "entity: order", "two `Order Shipped` per order"),
        (
            "lead/any/abandoned_cart",
            "{quiet: 2h, entity: cart}",
            "{condition: audience}",
            "`resume` needs a trigger",
        ),
        (
            "customer/any/winback",
            "early: they bought at least twice and are silent\n",
            "",
            "`buy` sells to customers",
        ),
        ("lead/any/quiet_reader", "id: answer", "id: reply", "steps.answer.outcome"),
    ],
)
def test_a_slip_in_a_sketch_is_seen(path: str, old: str, new: str, what: str) -> None:
    files = dict(sketched())
    place = f"{path}/measure.yaml"
    assert files[place].count(old) == 1
    files[place] = files[place].replace(old, new)
    found = inspect(files, render=False)
    assert [
        fault for fault in [*found.sorted(), *found.warnings] if fault.path == place and what in fault.what
    ]
