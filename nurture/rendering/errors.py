"""Errors of templates: found when a playbook is checked, or when one mail is rendered."""

from typing import NamedTuple

from nurture.domain.errors import Poison


class TemplateProblem(NamedTuple):
    """A fault of a template file, in words for its author."""

    path: str
    # From 1.
    line: int
    what: str
    # The change that the author should make.
    change: str

    def __str__(self) -> str:
        """Return `file:line: what: what to change`."""
        return f"{self.path}:{self.line}: {self.what}: {self.change}"


class TemplateFault(Poison):
    """A template cannot be compiled or rendered, so every mail of it would fail; the measure is paused."""

    def __init__(self, problem: TemplateProblem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class PromisePassed(TemplateFault):
    """The mail keeps the bytes of an earlier attempt, and a time that they promise has passed; the mail expires."""

    def __init__(self, measure: str) -> None:
        super().__init__(
            TemplateProblem(
                f"{measure}/measure.yaml",
                1,
                "the mail promises a time that has passed",
                "nothing: it expires",
            )
        )


class MissingValue(TemplateFault):
    """A value that the template needs is missing or unusable in this one mail; the mail is skipped."""

    def __init__(self, problem: TemplateProblem, variable: str) -> None:
        """variable: its name as the template writes it."""
        super().__init__(problem)
        self.variable = variable
