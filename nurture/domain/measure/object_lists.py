"""Objects in a mail: one that is bound to a name, or a list of them, read in the sending transaction."""

from dataclasses import dataclass

from nurture.domain.conditions import Condition

#: Orders of a list: by the event that told of the object first; or, "", as they are named. Any other is the name of a
#: published value, the highest first.
NEWEST, OLDEST, AS_NAMED = "newest", "oldest", ""
_PLAIN_ORDERS = frozenset({NEWEST, OLDEST, AS_NAMED})


@dataclass(frozen=True, slots=True)
class ObjectBinding:
    """Binds a name in the template and in `send_if` to an object, read in the sending transaction."""

    kind: str
    # Property of the trigger event, or `entity.field`, that holds the object's key (or a list of keys).
    key: str


@dataclass(frozen=True, slots=True)
class ObjectList:
    """A list of objects of one kind under a name in the template; conditions read `NAME.count`."""

    kind: str
    # `entity.lines.FIELD`, `entity.FIELD`, `event.PROPERTY` or `contact.FACT`: the keys of its objects; "": all of
    # the kind.
    keys: str = ""
    # True: not the objects that `keys` names, but those that go with them by their own field `goes_with`.
    goes_with: bool = False
    # Over the fields of each object, and `contact.`, `entity.` and `event.` values; only what is yes is listed.
    where: Condition | None = None
    order: str = NEWEST
    # True: without those that the person has read, and those that this measure has shown to them.
    fresh: bool = False
    # The longest that it may be; None: as long as there are keys.
    top: int | None = None
    # With fewer the mail is skipped.
    at_least: int = 0

    @property
    def ranking(self) -> str:
        """Return the published value by which it is ordered; "" for none."""
        return "" if self.order in _PLAIN_ORDERS else self.order
