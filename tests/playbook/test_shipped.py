"""The shipped programme passes every check."""

from pathlib import Path

from nurture.playbook import build, find_faults, load_files

SHIPPED = Path(__file__).parents[2] / "email_templates"


def test_the_shipped_programme_has_no_faults() -> None:
    assert [str(fault) for fault in find_faults(load_files(SHIPPED))] == []


def test_the_shipped_programme_builds() -> None:
    playbook = build(load_files(SHIPPED)).playbook
    assert set(playbook.measures) >= {"lead/any/abandoned_cart", "customer/any/second_order_coupon"}
    assert {stage.track for stage in playbook.stages} == {"lead", "customer"}
