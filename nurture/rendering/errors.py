"""What can be wrong with a template: found when it is checked, or when one mail is rendered."""

from typing import NamedTuple

from nurture.domain.errors import Poison


class TemplateProblem(NamedTuple):
    """A fault of a template file, for the person who edits it."""

    path: str
    # From 1.
    line: int
    what: str
    # What to change.
    change: str

    def __str__(self) -> str:
        """Return `file:line: what: what to change`."""
        return f"{self.path}:{self.line}: {self.what}: {self.change}"


class TemplateFault(Poison):
    """A template cannot be compiled or rendered; every mail of it would fail."""

    def __init__(self, problem: TemplateProblem) -> None:
        """Keep the problem; the message is its one line."""
        super().__init__(str(problem))
        self.problem = problem


class MissingValue(TemplateFault):
    """A value that the template needs is missing for this one mail; `variable` names it."""

    def __init__(self, problem: TemplateProblem, variable: str) -> None:
        """Keep the variable's name, as the template writes it."""
        super().__init__(problem)
        self.variable = variable
