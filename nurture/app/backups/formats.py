"""Tell the format of a backup by its first bytes, and read it without its compression, part by part."""

import bz2
import gzip
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal, cast

from nurture.domain.errors import UserError

Format = Literal["sqlite", "sqlite-sql", "pg-custom", "pg-tar", "pg-directory", "pg-sql"]

#: Bytes that are held in memory at once.
PART: Final = 2**20
#: Enough for the comments at the beginning of a dump.
_HEAD: Final = 1024
_TAR_AT: Final = 257
_OPENERS: Final[dict[bytes, Callable[[IO[bytes]], IO[bytes]]]] = {
    b"\x1f\x8b": lambda raw: cast("IO[bytes]", gzip.GzipFile(fileobj=raw)),
    b"BZh": lambda raw: cast("IO[bytes]", bz2.BZ2File(raw)),
    b"\xfd7zXZ": lambda raw: cast("IO[bytes]", lzma.LZMAFile(raw)),  # noqa: SIM115 - `_opened` closes it
}
_SPOILED: Final = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error)


class Spoiled(Exception):
    """The file ends early or cannot be unpacked; the message says which."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A file (or, for `pg-directory`, a folder) and its format."""

    path: Path
    format: Format

    @property
    def is_sqlite(self) -> bool:
        """Return whether it is restored into a file instead of a PostgreSQL server."""
        return self.format.startswith("sqlite")

    @property
    def size(self) -> int:
        """Return the bytes on the disk."""
        if self.format == "pg-directory":
            return sum(file.stat().st_size for file in self.path.iterdir() if file.is_file())
        return self.path.stat().st_size

    def parts(self, progress: Callable[[int], None] | None = None) -> Iterator[bytes]:
        """Yield the content without its compression. progress: told how many bytes of the file were read.

        Raises Spoiled.
        """
        with _opened(self.path) as (stream, raw):
            try:
                while part := stream.read(PART):
                    yield part
                    if progress is not None:
                        progress(raw.tell())
            except _SPOILED as error:
                raise Spoiled(f"{self.path.name} ends early or is damaged: {error}") from error
            except OSError as error:
                raise Spoiled(f"{self.path.name} cannot be read: {error.strerror or error}") from error


def recognise(path: Path) -> Backup:
    """Return the backup at this path. Raises UserError when it is none that can be restored."""
    if (path / "toc.dat").is_file():
        return Backup(path, "pg-directory")
    if path.is_dir() or not path.exists():
        what = "a folder without toc.dat" if path.is_dir() else "not there"
        raise UserError(f"{path}: {what}; name a copy of the SQLite file, or the output of pg_dump")
    try:
        with _opened(path) as (stream, _):
            head = stream.read(_HEAD)
    except (OSError, *_SPOILED) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    format_ = tell_format(head)
    if format_ is None:
        raise UserError(f"{path}: {describe_unknown(head)}")
    return Backup(path, format_)


def tell_format(head: bytes) -> Format | None:
    """Return the format of a backup that begins with these bytes; None for any other file."""
    if head.startswith(b"SQLite format 3\0"):
        return "sqlite"
    if head.startswith(b"PGDMP"):
        return "pg-custom"
    if head[_TAR_AT : _TAR_AT + 5] == b"ustar" and head.startswith(b"toc.dat\0"):
        return "pg-tar"
    if b"-- PostgreSQL database dump" in head:
        return "pg-sql"
    return "sqlite-sql" if head.lstrip().startswith(b"PRAGMA foreign_keys=OFF;") else None


def describe_unknown(head: bytes) -> str:
    """Return what is wrong with a file of no known format, and what to do."""
    if not head:
        return "the file is empty"
    if b"-- PostgreSQL database cluster dump" in head:
        return (
            "a dump of a whole server; make one of the database: pg_dump --format=custom --file=FILE DATABASE"
        )
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return "compressed with zstd; unpack it first: zstd -d FILE"
    return (
        "no backup that nurture can restore; name a copy of the SQLite file, its .dump, or the output of pg_dump, "
        "also compressed with gzip, bzip2 or xz"
    )


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Give the unpacked stream, and the file below it."""
    with path.open("rb") as raw:
        head = raw.read(8)
        raw.seek(0, os.SEEK_SET)
        for magic, opener in _OPENERS.items():
            if head.startswith(magic):
                with opener(raw) as stream:
                    yield stream, raw
                return
        yield raw, raw
