"""Two releases work on one database at once: this one, and a copy of it with one more column, which it writes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from nurture.database import schema as t
from nurture.runtime.clock import pause
from tests.architecture.sources import ROOT
from tests.faults.installation import LAPSE, Installation, people
from tests.production.compare import work_left
from tests.production.people import back_in_stock
from tests.workers.installation import eventually

pytestmark = [pytest.mark.faults, pytest.mark.long]

EVENTS = 400
#: The changes of the next release: (file, what stands there once, what it becomes).
CHANGES = (
    (
        "nurture/database/schema.py",
        '    "transitions",\n    metadata,\n',
        '    "transitions",\n    metadata,\n    sa.Column("release", sa.Text),\n',
    ),
    (
        "nurture/contacts/save_queries.py",
        'insert(connection, transitions, rows, columns=("contact_id", *_TRANSITION))',
        'insert(connection, transitions, [("next", *row) for row in rows], '
        'columns=("release", "contact_id", *_TRANSITION))',
    ),
)
_MIGRATION = '''"""Transitions tell which release found them."""

import sqlalchemy as sa
from alembic import op

revision = "9000"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("transitions", sa.Column("release", sa.Text()))
'''


def next_release(folder: Path) -> Path:
    """Return a tree of the release to come."""
    for part in ("nurture", "workers", "tests", "email_templates"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name, before, after in CHANGES:
        text = (folder / name).read_text()
        assert text.count(before) == 1, f"{name} has changed"
        (folder / name).write_text(text.replace(before, after))
    versions = folder / "nurture" / "database" / "migrations" / "versions"
    head = max(path.name[:4] for path in versions.glob("[0-9]*.py"))
    (versions / "9000_release.py").write_text(_MIGRATION.format(head=head))
    return folder


def test_workers_of_two_releases_work_on_one_database_while_it_is_migrated(
    postgresql_installation: Installation, tmp_path: Path, seed: int
) -> None:
    installation = postgresql_installation
    crowd = people(EVENTS, seed=seed)
    tree = next_release(tmp_path / "next")
    pieces = [crowd.items[place : place + 20] for place in range(0, len(crowd.items), 20)]
    installation.hand_in(pieces.pop(0))
    with installation.worker(stays=True) as older:
        # Whether any of these asks for a mail is the seed's; all of them are somebody's.
        assert eventually(lambda: is_all_applied(installation)), "the older worker does nothing"
        _migrate(installation, tree)
        installation.hand_in(pieces.pop(0))
        with installation.worker(stays=True, tree=tree) as newer:
            assert eventually(lambda: _speaking(installation) == 2), "the newer worker does not start"
            for piece in pieces:
                installation.hand_in(piece)
                pause(0.2)
            installation.hand_in([back_in_stock(installation.now)])
            assert eventually(lambda: is_all_applied(installation)), work_left(
                installation.database, now=installation.now
            )
            assert (older.poll(), newer.poll()) == (None, None)
    with installation.database.read() as connection:
        found = set(connection.scalars(sa.text("SELECT DISTINCT release FROM transitions")))
    assert found == {"next", None}, "one of them found nobody's transition"
    installation.later(LAPSE)
    installation.tree = tree
    installation.settle()
    assert installation.faults(crowd) == []
    # The older release does not start any more.
    installation.tree = ROOT
    assert installation.work() != 0


def is_all_applied(installation: Installation) -> bool:
    """Tell whether no event waits."""
    return work_left(installation.database, now=installation.now).events == 0


def _migrate(installation: Installation, tree: Path) -> None:
    command = [sys.executable, "-m", "nurture.cli", "migrate"]
    done = subprocess.run(
        command, cwd=tree, env=installation.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _speaking(installation: Installation) -> int:
    """Return how many processes have opened a journal."""
    with installation.database.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(t.journals)) or 0
