"""The reviewed mails: every mail as it was when a person last read it.

The lines that all HTML parts have in common are stored once, in `golden/_frame.html`; each golden file holds a mark
in their place. After a change of words or layout, write the files again and read the difference:

    python -m tests.programme.reviewed
"""

import re
from collections.abc import Sequence
from pathlib import Path

from nurture.rendering.mail_parts import MailParts
from tests.programme.samples import Mail, mails, parts

GOLDEN = Path(__file__).parent / "golden"
FRAME = GOLDEN / "_frame.html"

# Blocks of common lines that are shorter stay in every file.
_BLOCK_LINES_MIN = 3
_MARK = re.compile(r"<!-- frame (\d+) -->\n")


def expected(mail: Mail, rendered: MailParts | None = None) -> dict[Path, str]:
    """Return file -> its whole text for the mail as it is now: subject, preheader and text part; HTML.

    rendered: its parts, where they are known.
    """
    now = rendered or parts(mail)
    return {
        GOLDEN / f"{mail}.txt": f"Subject: {now.subject}\nPreheader: {now.preheader}\n\n{now.text}",
        GOLDEN / f"{mail}.html": now.html.rstrip("\n") + "\n",
    }


def read_reviewed(path: Path) -> str:
    """Return the whole text of a golden file, with the blocks of the frame in place of their marks."""
    text = path.read_text("utf-8")
    return with_frame(text, read_frame()) if path.suffix == ".html" else text


def read_frame() -> list[str]:
    """Return the blocks of the frame."""
    return _MARK.split(FRAME.read_text("utf-8"))[2::2]


def with_frame(text: str, blocks: Sequence[str]) -> str:
    """Return the text with the blocks in place of their marks."""
    return _MARK.sub(lambda mark: blocks[int(mark[1])], text)


def without_frame(text: str, blocks: Sequence[str]) -> str:
    """Return the text with marks in place of the blocks."""
    for number, block in enumerate(blocks):
        text = text.replace(block, f"<!-- frame {number} -->\n", 1)
    return text


def common_blocks(texts: Sequence[str]) -> list[str]:
    """Return the longest blocks of whole lines that all texts contain, in order; none overlaps another."""
    lines = texts[0].splitlines(keepends=True)
    blocks, start = list[str](), 0
    while start < len(lines):
        end = start
        while end < len(lines) and all(
            f"\n{''.join(lines[start : end + 1])}" in f"\n{text}" for text in texts
        ):
            end += 1
        if end - start >= _BLOCK_LINES_MIN:
            blocks.append("".join(lines[start:end]))
        start = max(end, start + 1)
    return blocks


def rewrite() -> int:
    """Write all golden files, remove those of mails that no longer exist, and return their number."""
    whole = {path: text for mail in mails() for path, text in expected(mail).items()}
    blocks = common_blocks([text for path, text in whole.items() if path.suffix == ".html"])
    files = {FRAME: "".join(f"<!-- frame {number} -->\n{block}" for number, block in enumerate(blocks))}
    for path, text in whole.items():
        files[path] = without_frame(text, blocks) if path.suffix == ".html" else text
    for path in GOLDEN.rglob("*.*"):
        if path not in files:
            path.unlink()
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return len(files)


if __name__ == "__main__":
    print(f"{rewrite()} files under {GOLDEN.relative_to(Path.cwd())}")  # noqa: T201 - a command's answer
