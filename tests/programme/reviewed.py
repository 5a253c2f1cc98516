"""The reviewed mails: every mail as it was when a person last read it.

After a change of words or layout, write the files again and read the difference:

    python -m tests.programme.reviewed
"""

from pathlib import Path

from nurture.rendering.mail_parts import MailParts
from tests.programme.samples import Mail, mails, parts

GOLDEN = Path(__file__).parent / "golden"


def expected(mail: Mail, rendered: MailParts | None = None) -> dict[Path, str]:
    """Return file -> its text for the mail as it is now: subject, preheader and text part; HTML.

    rendered: its parts, where they are known.
    """
    now = rendered or parts(mail)
    return {
        GOLDEN / f"{mail}.txt": f"Subject: {now.subject}\nPreheader: {now.preheader}\n\n{now.text}",
        GOLDEN / f"{mail}.html": now.html.rstrip("\n") + "\n",
    }


def rewrite() -> int:
    """Write all golden files, remove those of mails that no longer exist, and return their number."""
    wanted = {path: text for mail in mails() for path, text in expected(mail).items()}
    for path in GOLDEN.rglob("*.*"):
        if path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return len(wanted)


if __name__ == "__main__":
    print(f"{rewrite()} files under {GOLDEN.relative_to(Path.cwd())}")  # noqa: T201 - a command's answer
