"""A folder on disk to {path: text}: what is read, and how much at most."""

import os
from pathlib import Path

from nurture.domain.errors import PlaybookError

#: What a playbook is made of; pictures and notes may lie beside and are left alone.
SUFFIXES = frozenset({".yaml", ".yml", ".mjml", ".txt", ".json"})
#: Bounds against a wrong folder given by mistake, and against hostile ones.
MOST_BYTES_PER_FILE = 512 * 1024
MOST_BYTES = 32 * 1024 * 1024
MOST_FILES = 5_000
MOST_DEPTH = 4


def load_files(root: Path) -> dict[str, str]:
    """Return the playbook's files under `root` as {path with slashes: text}, in path order.

    Hidden files, links and other kinds of file are left out; line ends become newlines.
    Raises PlaybookError when there is no such folder, a file is not UTF-8 or too large, or there are too many.
    """
    if not root.is_dir():
        raise PlaybookError([f"{root}: there is no such folder: give the folder that holds playbook.yaml"])
    faults: list[str] = []
    files: dict[str, str] = {}
    total = 0
    for path in _walk(root, faults):
        name = path.relative_to(root).as_posix()
        size = path.stat().st_size
        total += size
        if len(files) >= MOST_FILES or total > MOST_BYTES:
            faults.append(f"{name}:1: too many or too large files: is {root} the folder of a playbook?")
            break
        if size > MOST_BYTES_PER_FILE:
            faults.append(f"{name}:1: {size} bytes: keep each file under {MOST_BYTES_PER_FILE}")
            continue
        text = _read(path, name, faults)
        if text is not None:
            files[name] = text
    if faults:
        raise PlaybookError(faults)
    return dict(sorted(files.items()))


def _walk(root: Path, faults: list[str]) -> list[Path]:
    found: list[Path] = []
    for folder, folders, names in os.walk(root, followlinks=False):
        here = Path(folder)
        depth = len(here.relative_to(root).parts)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if depth >= MOST_DEPTH and folders:
            faults.append(
                f"{(here / folders[0]).relative_to(root).as_posix()}:1: too deep: see docs/playbook.md"
            )
            folders.clear()
        for name in sorted(names):
            path = here / name
            if not name.startswith(".") and path.suffix in SUFFIXES and not path.is_symlink():
                found.append(path)
        if len(found) > MOST_FILES:
            break
    return found


def _read(path: Path, name: str, faults: list[str]) -> str | None:
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        faults.append(f"{name}:{line}: not UTF-8: save the file as UTF-8")
        return None
    if "\0" in text:
        faults.append(f"{name}:{text.count(chr(10), 0, text.index(chr(0))) + 1}: a NUL character: remove it")
        return None
    return text.replace("\r\n", "\n").replace("\r", "\n")
