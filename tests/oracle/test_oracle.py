"""The engine and the oracle, written from docs/playbook.md alone, decide the same mails on generated histories."""

import ast
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nurture.database.engine import Database
from nurture.domain import timing
from nurture.domain.instant import HOUR
from nurture.domain.journey import advance, steps
from tests.oracle.compare import Mail, by_person, in_holdout
from tests.oracle.engine import play_engine
from tests.oracle.generate_history import make_history
from tests.oracle.generate_playbook import write_playbook
from tests.oracle.oracle import simulate

FOLDER = Path(__file__).parent
PEOPLE = 60
#: Fewer days than `make oracle` plays, so that the suite stays short.
DAYS = 6
#: Each seed draws a playbook of some ten measures and a history; from 11 on with preferences, old data and sends by
#: hand, from 21 on with segments, tables, moments, business time, branches, actions and dates of
#: entities; from 31 on with parcels told before their orders.
SEEDS = (6, 16, 22, 34)


def both(database: Database, folder: Path, seed: int, people: int) -> tuple[Any, Any, dict[str, Any]]:
    """Return the mails of the engine and of the oracle, by person, and the history."""
    write_playbook(folder, seed)
    history = make_history(seed, people, folder, days=DAYS)
    mails, _ = play_engine(database, folder, history)
    sides = (
        by_person([mail for mail in side if mail["at"] < history["until"]])
        for side in (mails, simulate(folder, history, in_holdout(mails)))
    )
    engine, oracle = sides
    return engine, oracle, history


def differing(engine: dict[str, Counter[Mail]], oracle: dict[str, Counter[Mail]]) -> dict[str, Any]:
    """Return the mails of each person that only one side has, the engine's first."""
    return {
        who: (
            list((engine.get(who, Counter()) - oracle.get(who, Counter())).elements()),
            list((oracle.get(who, Counter()) - engine.get(who, Counter())).elements()),
        )
        for who in sorted({*engine, *oracle})
        if engine.get(who) != oracle.get(who)
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_both_decide_the_same_mails(sqlite_database: Database, tmp_path: Path, seed: int) -> None:
    engine, oracle, _ = both(sqlite_database, tmp_path / "playbook", seed, PEOPLE)
    assert sum(map(len, engine.values())) > PEOPLE // 2
    assert differing(engine, oracle) == {}


def test_both_decide_the_same_mails_on_postgresql(postgresql_database: Database, tmp_path: Path) -> None:
    engine, oracle, _ = both(postgresql_database, tmp_path / "playbook", 23, PEOPLE // 3)
    assert differing(engine, oracle) == {}


def _an_hour_late(*arguments: Any) -> int | None:
    """Return the end of a wait, an hour late."""
    end = _WAIT_END(*arguments)
    return None if end is None else end + HOUR


_WAIT_END = steps.wait_end
#: A part of the engine, and the fault that is planted in its place.
FAULTS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "exits": (advance, "end_runs_by_event", lambda *_: None),
    "quiet hours": (timing, "is_quiet", lambda *_, **__: False),
    "waits": (steps, "wait_end", _an_hour_late),
}


@pytest.mark.long
@pytest.mark.oracle
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    module, name, planted = FAULTS[fault]
    monkeypatch.setattr(module, name, planted)
    # With so few people the exits of the other seeds end nobody's run before its mail has left.
    engine, oracle, _ = both(sqlite_database, tmp_path / "playbook", SEEDS[0], PEOPLE)
    assert differing(engine, oracle) != {}


def test_the_oracle_shares_no_module_with_nurture() -> None:
    for path in FOLDER.glob("*.py"):
        if path.name in ("engine.py", "test_oracle.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.partition(".")[0] in ("nurture", "workers") for name in names), path.name
