"""The words by which our staff are told what a case with a legal time asks of them."""

from typing import Final

from nurture.domain.instant import Instant, to_iso

_TASKS: Final = {
    "data_request": "Run `nurture contact export {who} --out FILE` and give the file to the shop's owner.",
    "shop_redact": "Nothing was deleted by itself. Decide whose data came from that shop only, and erase these people "
    "with `nurture contact erase WHO`.",
}


def describe_task(kind: str, name: str, contact: int, due_at: Instant) -> str:
    """Return what our staff must do about the case, and until when."""
    who = f"contact:{contact}" if contact else "WHO"
    task = _TASKS[kind].format(who=who)
    if kind == "data_request" and not contact:
        task = "Nobody is known by the names of the request: tell the shop's owner that nothing is stored."
    return f"{name}: due {to_iso(due_at)}. {task}"
