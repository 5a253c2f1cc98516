"""The `tables` of `playbook.yaml`."""

from typing import Annotated, Any

from pydantic import Field

from nurture.playbook.schema.values import PropertyName, Strict

TableText = Annotated[
    int | float | str, Field(description="A number, a text, or a duration such as 30d; all rows alike.")
]


class TableFile(Strict):
    """Values that are looked up by a fact, a ladder, or a property of the entity at hand."""

    by: PropertyName
    rows: Annotated[dict[str, TableText], Field(min_length=1)]
    otherwise: TableText | None = Field(default=None, alias="else")

    @property
    def values(self) -> list[Any]:
        """Return every value of the table."""
        return [*self.rows.values(), *([] if self.otherwise is None else [self.otherwise])]
