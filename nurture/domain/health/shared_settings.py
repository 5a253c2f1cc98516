"""Settings that the processes of one database must have in common, and those in which they differ.

Each process writes fingerprints of its values beside its row, never the values: secrets are among them.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from nurture.domain.health.findings import Finding
from nurture.domain.health.signs import ProcessSign
from nurture.domain.instant import Instant

_ANSWERING: Final = frozenset({"up", "api", "worker", "inbound"})
_SENDING: Final = frozenset({"up", "worker"})
#: Setting, without NURTURE_ -> the kinds of processes that use it, and the harm when two of them differ in it.
SHARED: Final = {
    "SECRET_KEY": (_ANSWERING, "one refuses the links and tags that another signs"),
    "BASE_URL": (_ANSWERING, "links in mails lead to different sites"),
    "MAIL_URL": (_SENDING, "mail leaves by different servers"),
    "ONLY_TO": (_SENDING, "some mail people whom the others may not mail"),
    "BOUNCE_ADDRESS": (
        _SENDING | {"inbound"},
        "bounces return to different addresses, and some are not read",
    ),
    "TRACKING": (_SENDING, "only some mails count opens and clicks"),
    "WARM_UP": (_SENDING, "each keeps another limit of the day"),
    "PROVIDER_LIMITS": (_SENDING, "each keeps another limit of the day"),
    "EVENT_HOOKS": (_ANSWERING, "only some events are posted to their addresses"),
}


def judge_settings(processes: Sequence[ProcessSign], now: Instant) -> Iterator[Finding]:
    """Yield one finding for each setting in which running processes that use it differ."""
    alive = [sign for sign in processes if sign.is_alive(now)]
    for name, (kinds, harm) in SHARED.items():
        places: dict[str, list[str]] = {}
        for sign in alive:
            # A process of an earlier version writes no fingerprints.
            if sign.kind in kinds and name in sign.settings:
                places.setdefault(sign.settings[name], []).append(f"{sign.kind} {sign.place}")
        if len(places) > 1:
            groups = " | ".join(", ".join(group) for group in places.values())
            words = f"running processes have different values of NURTURE_{name}: {groups}; {harm}"
            remedy = "compare `nurture config show` on these hosts, make the values equal and restart"
            yield Finding("settings", name, "problem", words, remedy)
