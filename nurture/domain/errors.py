"""The one tree of errors. A message says what is wrong, where, and what to change.

NurtureError
├── UserError            somebody outside must change something; exit code 2, HTTP 4xx
│   ├── SettingsError    a setting is missing or wrong
│   ├── PlaybookError    the playbook does not load; carries every fault
│   ├── ConditionError   a condition does not parse or type-check
│   ├── InputError       a row, body, address or argument is wrong
│   └── NotFoundError    a contact, measure or message that does not exist
├── CheckFailed          a check found something; exit code 1
├── Transient            infrastructure; the same work may be tried again
└── Poison               one event or template that cannot be processed; quarantine it
"""

from collections.abc import Sequence


class NurtureError(Exception):
    """Something went wrong in nurture."""


class UserError(NurtureError):
    """Something you gave is wrong."""


class SettingsError(UserError):
    """A setting is missing or wrong."""


class InputError(UserError):
    """A row, body, address or argument is wrong."""


class NotFoundError(UserError):
    """There is no such contact, measure or message."""


class ConditionError(UserError):
    """A condition does not parse or type-check."""

    def __init__(self, message: str, *, column: int = 0) -> None:
        """Keep the column (from 0) inside the condition's text at which the fault stands."""
        super().__init__(message)
        self.column = column


class PlaybookError(UserError):
    """The playbook has faults; `faults` lists each as `file:line: what: what to change`."""

    def __init__(self, faults: Sequence[str]) -> None:
        """Keep all faults; the message is their list, one a line."""
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class CheckFailed(NurtureError):
    """A check found something."""


class Transient(NurtureError):
    """Infrastructure failed; the same work may be tried again."""


class Poison(NurtureError):
    """One event or template cannot be processed; it is set aside with its reason."""
