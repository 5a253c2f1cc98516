"""Years of events and faults on virtual time: every invariant holds, and the same seed gives the same ledger."""

from pathlib import Path

import pytest

from nurture.domain.instant import HOUR
from tests.faults.voyage import Size, voyage

#: SHORT (seconds) is part of every test run, FAULTS (minutes) of `make faults`; WHOLE runs alone (`-m long`).
SHORT = Size(people=10, days=20, tick=4 * HOUR)
FAULTS = Size(people=250, days=730, tick=12 * HOUR)
WHOLE = Size(people=10_000, days=730, tick=6 * HOUR)


def digest(folder: Path, size: Size, seed: int) -> str:
    """Run a voyage, assert that it has no fault, and return the hash of its ledger."""
    folder.mkdir()
    made, services = voyage(folder, size, seed)
    faults, summary, digest = made.faults(), made.summarize(), made.digest()
    services.close()
    assert faults == [], f"{summary}\nrepeat it with: {size.command(seed)}"
    assert made.happened.total() > made.happened["calm"], summary
    # Weeks of ten people may pass without a death of the worker; two years do not.
    assert size == SHORT or made.happened["dies"] > 0, summary
    return digest


def test_all_is_well_and_the_same_seed_gives_the_same_ledger(tmp_path: Path, seed: int) -> None:
    assert digest(tmp_path / "once", SHORT, seed) == digest(tmp_path / "again", SHORT, seed)


@pytest.mark.long
@pytest.mark.faults
def test_another_seed_gives_another_ledger(tmp_path: Path, seed: int) -> None:
    assert digest(tmp_path / "one", SHORT, seed) != digest(tmp_path / "other", SHORT, seed + 1)


@pytest.mark.long
@pytest.mark.parametrize(
    "size", [pytest.param(FAULTS, id="faults", marks=pytest.mark.faults), pytest.param(WHOLE, id="whole")]
)
def test_after_two_years_of_faults_every_invariant_holds(tmp_path: Path, size: Size, seed: int) -> None:
    assert digest(tmp_path / "voyage", size, seed)
