"""Checks of what a run knows at a place, and of what it does where something is not known."""

from nurture.playbook.check.run_values.choices import check_choices
from nurture.playbook.check.run_values.kinds import check_kinds, check_part
from nurture.playbook.check.run_values.names_at_hand import check_names_at_hand

__all__ = ["check_choices", "check_kinds", "check_names_at_hand", "check_part"]
