"""Read a playbook's folder from disk, with limits on its files."""

import os
from pathlib import Path

from nurture.domain.errors import PlaybookError

#: Suffixes of a playbook's files (`.b64`: an image as text); other files in the folder are ignored.
SUFFIXES = frozenset({".yaml", ".yml", ".mjml", ".txt", ".json", ".b64"})
#: The folder of a programme's own tests, which are no part of it.
TESTS = "tests"
#: Limits against a wrong folder and a hostile one.
FILE_BYTES_MAX = 512 * 1024
BYTES_MAX = 32 * 1024 * 1024
FILES_MAX = 5_000
DEPTH_MAX = 4


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
    for path in _find_files(root, faults):
        name = path.relative_to(root).as_posix()
        size = path.stat().st_size
        total += size
        if len(files) >= FILES_MAX or total > BYTES_MAX:
            faults.append(f"{name}:1: too many or too large files: is {root} the folder of a playbook?")
            break
        if size > FILE_BYTES_MAX:
            faults.append(f"{name}:1: {size} bytes: keep each file under {FILE_BYTES_MAX}")
            continue
        text = _read(path, name, faults)
        if text is not None:
            files[name] = text
    if faults:
        raise PlaybookError(faults)
    return dict(sorted(files.items()))


def _find_files(root: Path, faults: list[str]) -> list[Path]:
    """Return the files to read; a folder that is too deep is a fault."""
    paths: list[Path] = []
    for folder, folders, names in os.walk(root, followlinks=False):
        here = Path(folder)
        depth = len(here.relative_to(root).parts)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (here != root or name != TESTS)
        )
        if depth >= DEPTH_MAX and folders:
            faults.append(
                f"{(here / folders[0]).relative_to(root).as_posix()}:1: too deep: see docs/playbook.md"
            )
            folders.clear()
        paths += [here / name for name in sorted(names) if _is_read(here / name)]
        if len(paths) > FILES_MAX:
            break
    return paths


def _is_read(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix in SUFFIXES and not path.is_symlink()


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
