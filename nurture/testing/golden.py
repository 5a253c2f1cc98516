"""Golden mails: the text that a mail had when somebody last looked at it, in `tests/golden/NAME.txt`."""

from dataclasses import dataclass, field
from difflib import unified_diff
from pathlib import Path

from nurture.domain.errors import InputError
from nurture.testing.mails import Mail


@dataclass(slots=True)
class GoldenFolder:
    """The golden files of a programme."""

    # None: the programme came from no folder.
    root: Path | None
    # True: files are written and not compared.
    is_updated: bool = False
    written: list[str] = field(default_factory=list)

    def difference(self, mail: Mail, name: str) -> list[str]:
        """Return the lines that differ from the golden file; a missing file differs. With `is_updated`, write it.

        Raises InputError for a name that leaves the folder.
        """
        if self.root is None or Path(name).name != name or name.startswith("."):
            raise InputError(
                f"golden {name!r}: write a name without folder and ending, in a programme's own folder"
            )
        path, text = self.root / f"{name}.txt", mail.golden_text()
        if self.is_updated:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                path.write_text(text, encoding="utf-8")
                self.written.append(str(path))
            return []
        if not path.exists():
            return [f"{path}: there is no such file; look at the mail, then: nurture test --update"]
        before = path.read_text(encoding="utf-8")
        lines = unified_diff(before.splitlines(), text.splitlines(), str(path), mail.name, lineterm="", n=1)
        return list(lines)
