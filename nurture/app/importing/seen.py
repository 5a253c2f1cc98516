"""Count how often each of many keys was seen, in bounded memory: the counts lie in a temporary file."""

import sqlite3
import tempfile
from pathlib import Path
from typing import Final, Self

_COUNT: Final = (
    "INSERT INTO seen VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET count = count + 1 RETURNING count"
)


class SeenCounter:
    """Counts keys; close it, or use it in a `with` statement."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="nurture-import-")
        self._connection = sqlite3.connect(Path(self._folder.name) / "seen.db", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=OFF")
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.execute("CREATE TABLE seen (key BLOB PRIMARY KEY, count INTEGER) WITHOUT ROWID")
        self._connection.execute("BEGIN")

    def count(self, key: bytes) -> int:
        """Return how often the key was seen, this time included."""
        return int(self._connection.execute(_COUNT, (key,)).fetchone()[0])

    def close(self) -> None:
        """Remove the counts."""
        self._connection.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the counts."""
        self.close()
