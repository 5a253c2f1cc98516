"""Old forms of a playbook's files: find them, and write them as they are written today, with comments and layout."""

from nurture.playbook.upgrade.old_forms import OldForm, find_old_forms, warn_of_old_forms
from nurture.playbook.upgrade.rewrite import Upgrade, upgrade

__all__ = ["OldForm", "Upgrade", "find_old_forms", "upgrade", "warn_of_old_forms"]
