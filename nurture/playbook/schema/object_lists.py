"""The model of the objects that a measure's mails show: one under a name, or a list of them."""

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from nurture.playbook.schema.values import ConditionText, Name, Strict


class BindingFile(Strict):
    """A name for an object whose values are read when the mail is sent."""

    kind: Name
    key: Annotated[str, Field(pattern=r"^((entity|event|contact)\.)?[A-Za-z_][A-Za-z0-9_]*$")]


KeysText = Annotated[
    str,
    Field(
        pattern=r"^(contact\.[A-Za-z_]\w*|(entity|event)\.[A-Za-z_]\w*(\.[A-Za-z_]\w*)?)$",
        description="entity.lines.product_id, entity.FIELD, event.PROPERTY or contact.FACT: the keys of objects.",
    ),
]


class ListFile(Strict):
    """A name for a list of objects that is read when the mail is sent."""

    kind: Name
    keys: KeysText | None = None
    goes_with: (
        Annotated[
            KeysText,
            Field(description="Not these objects, but those that go with them by their `goes_with`."),
        ]
        | None
    ) = None
    where: Annotated[ConditionText, Field(description="Over the fields of each object.")] | None = None
    order: Annotated[Name, Field(description="newest, oldest or the name of a published value.")] | None = (
        None
    )
    fresh: (
        Annotated[bool, Field(description="Without what the person has read, or was shown by this measure.")]
        | None
    ) = None
    top: Annotated[int, Field(ge=1, le=50)] | None = None
    at_least: (
        Annotated[int, Field(ge=0, le=50, description="With fewer objects the mail is skipped.")] | None
    ) = None


def _form(value: Any) -> str:
    if isinstance(value, BindingFile):
        return "one"
    return "one" if isinstance(value, dict) and "key" in value else "list"


AnyObjects = Annotated[
    Annotated[BindingFile, Tag("one")] | Annotated[ListFile, Tag("list")], Discriminator(_form)
]
