"""Simulations: a programme on virtual time in a temporary database, over generated or recorded events."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from nurture.app.simulations.compare import compare_played
from nurture.app.simulations.options import SimulationOptions
from nurture.app.simulations.page import load_words, render_page
from nurture.app.simulations.run import played
from nurture.domain.errors import InputError
from nurture.simulation.play import Progress
from nurture.simulation.reaction_rates import SHIPPED

__all__ = ["SimulationOptions", "save_reactions", "simulate"]


def simulate(
    options: SimulationOptions,
    *,
    against: Path | None = None,
    page: Path | None = None,
    language: str = "en",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run the simulation and return its summary. No mail is sent and nothing is kept but the page.

    against: a second programme for the same people; then the differences are returned. page: the file of the
    self-contained page. Raises InputError for a file that cannot be read or written.
    """
    load_words(language)
    with played(options, progress=progress) as mine:
        if against is None:
            compared = None
        else:
            with played(replace(options, playbook=against), progress=progress) as other:
                compared = compare_played(mine, other)
        if page is not None:
            text = render_page(mine, language=language, is_history=options.is_history, compared=compared)
            _write(page, text)
        return mine.summary if compared is None else compared


def save_reactions(path: Path) -> None:
    """Write the rates that ship into a new file. Raises InputError where it cannot be written, or exists."""
    if path.exists():
        raise InputError(f"{path} exists; name a new file")
    _write(path, SHIPPED.read_text("utf-8"))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: the file cannot be written: {error.strerror}") from None
