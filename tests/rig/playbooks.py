"""Read and check the same files once a session: most tests that run a command begin with the shipped programme."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final

from nurture.playbook import loaded_playbook
from nurture.playbook.fault import Faults

#: The shipped programme, and some that tests publish again and again.
_KEPT_MAX: Final = 100


def share_checked_playbooks() -> None:
    """Let this process neither read nor check again the files in which it found no fault; safe to repeat."""
    names = vars(loaded_playbook)
    if hasattr(names["_check"], "__wrapped__"):
        return
    names["_read_source"] = _once(names["_read_source"], key=lambda files, _faults: _text(files))
    names["_check"] = _once(
        names["_check"], key=lambda _source, files, _faults, *, render: (render, _text(files))
    )


def _text(files: Mapping[str, str]) -> object:
    return tuple(sorted(files.items()))


def _once(work: Callable[..., Any], *, key: Callable[..., object]) -> Callable[..., Any]:
    """Return the function, but without a second call for files in which the first call found no fault.

    The models and the values built from them never change, so that all may share them.
    """
    kept: dict[object, Any] = {}

    @wraps(work)
    def remembering(*given: Any, **named: Any) -> Any:
        place = key(*given, **named)
        if place in kept:
            return kept[place]
        result = work(*given, **named)
        (faults,) = (part for part in given if isinstance(part, Faults))
        if not (faults or faults.warnings) and len(kept) < _KEPT_MAX:
            kept[place] = result
        return result

    return remembering
