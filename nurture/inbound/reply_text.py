"""Read the text of a person's reply: the plain part, or HTML as text, without quotes and signature."""

from email.message import Message
from html.parser import HTMLParser
from typing import Any, Final

from nurture.domain.inbound.quotes import own_words
from nurture.inbound.mime_parts import parts, text_of
from nurture.rendering.clean_text import clean_body

TEXT_MAX: Final = 2_000
_READ_MAX: Final = 32 * 1024

_HIDDEN: Final = frozenset({"style", "script", "head", "title", "template", "noscript"})
_BLOCKS: Final = frozenset(
    {
        "p",
        "div",
        "tr",
        "li",
        "ul",
        "ol",
        "table",
        "h1",
        "h2",
        "h3",
        "h4",
        "blockquote",
        "pre",
        "hr",
        "section",
    }
)
_DEPTH_MAX: Final = 20


def fresh_text(mail: "Message[Any, Any]") -> str:
    """Return the person's own words, at most TEXT_MAX characters."""
    text = _first(mail, "text/plain")
    if not text.strip():
        text = html_to_text(_first(mail, "text/html"))
    return own_words(clean_body(text.replace("\r\n", "\n").replace("\r", "\n"))[:_READ_MAX])[:TEXT_MAX]


def _first(mail: "Message[Any, Any]", kind: str) -> str:
    return next((text_of(part) for part in parts(mail) if part.get_content_type() == kind), "")


def html_to_text(html: str) -> str:
    """Return HTML as lines of text; the lines of a `blockquote` begin with `>`."""
    reader = _TextReader()
    reader.feed(html)
    reader.close()
    return reader.text()


class _TextReader(HTMLParser):
    """Collects visible text line by line, with the depth of quotation."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = []
        self._line: list[str] = []
        self._hidden: list[str] = []
        self._quotes = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a block, a quote or a hidden element."""
        del attrs
        if tag in _HIDDEN:
            self._hidden.append(tag)
        if tag in _BLOCKS or tag == "br":
            self._break()
        if tag == "blockquote":
            self._quotes = min(self._quotes + 1, _DEPTH_MAX)

    def handle_endtag(self, tag: str) -> None:
        """End a block, a quote or a hidden element."""
        if tag in self._hidden:
            del self._hidden[self._hidden.index(tag) :]
        if tag in _BLOCKS:
            self._break()
        if tag == "blockquote":
            self._quotes = max(self._quotes - 1, 0)
        if tag == "p" and not self._quotes:
            self._lines.append("")

    def handle_data(self, data: str) -> None:
        """Add text to the line."""
        if not self._hidden:
            self._line.append(data)

    def text(self) -> str:
        """Return the lines, without runs of empty ones."""
        self._break()
        lines = [
            line for line, before in zip(self._lines, ["", *self._lines], strict=False) if line or before
        ]
        return "\n".join(lines).strip()

    def _break(self) -> None:
        line = " ".join("".join(self._line).split())
        self._line = []
        if line:
            self._lines.append("> " * self._quotes + line)
