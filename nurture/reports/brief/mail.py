"""The two parts of a brief's mail: plain text, and HTML whose bars are table cells with a coloured width."""

from html import escape
from typing import Final, NamedTuple

from nurture.reports.brief.blocks import Bar, Block, Page


class BriefMail(NamedTuple):
    """A brief as a mail."""

    subject: str
    text: str
    html: str


def mail_of(page: Page) -> BriefMail:
    """Return the mail."""
    return BriefMail(page.subject, _text(page), _html(page))


# ---- text ------------------------------------------------------------------------------------------------

#: The characters of the longest bar.
_BAR: Final = 20


def _text(page: Page) -> str:
    parts = [page.title, "", page.intro]
    for block in page.blocks:
        parts += ["", "", block.heading.upper() if page.language == "en" else f"【{block.heading}】", ""]
        for bar in block.bars:
            now, earlier = page.legend
            parts.append(bar.label)
            parts.append(_bar_line(bar.share, bar.now, now))
            parts.append(_bar_line(bar.share_earlier, bar.earlier, earlier))
        parts += [f"- {line}" for line in block.lines]
    return "\n".join([*parts, "", "", page.footer, ""])


def _bar_line(share: float, value: str, when: str) -> str:
    bar = "#" * _length(share, _BAR) + " " if share > 0 else ""
    return f"  {bar}{value} ({when})"


def _length(share: float, longest: int) -> int:
    """Return a bar's length; a bar that is not empty is visible."""
    return max(round(share * longest), 1)


# ---- HTML ------------------------------------------------------------------------------------------------

_STYLE: Final = """\
:root{color-scheme:light dark;supported-color-schemes:light dark}
body{margin:0;padding:0;background:#f4f4f1;color:#22262a}
.page{background:#f4f4f1}.sheet{background:#ffffff}
.quiet{color:#5b636b}.now{background:#1f5a4c}.earlier{background:#b9c4bf}.urgent{border-left:4px solid #b3541e}
@media (prefers-color-scheme:dark){
body,.page{background:#15181a!important;color:#e8eaec!important}
.sheet{background:#1e2327!important;color:#e8eaec!important}
.quiet{color:#a9b2ba!important}.now{background:#5fbf9f!important}.earlier{background:#4a555c!important}
.urgent{border-left-color:#f0a06a!important}
}
@media (max-width:480px){.sheet{padding:20px 16px!important}}
"""
_FONT: Final = (
    "-apple-system,'Segoe UI',Roboto,'Noto Sans','PingFang SC','Microsoft YaHei',"
    "'Noto Sans CJK SC',sans-serif"
)


def _html(page: Page) -> str:
    blocks = "\n".join(_block(block, page) for block in page.blocks)
    return f"""\
<!doctype html>
<html lang="{page.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>{escape(page.subject)}</title>
<style>
{_STYLE}</style>
</head>
<body>
<table role="presentation" class="page" width="100%" cellpadding="0" cellspacing="0" border="0"><tr>\
<td align="center" style="padding:16px 8px">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="max-width:600px"><tr>\
<td class="sheet" style="padding:28px 32px;border-radius:8px;font-family:{_FONT};font-size:16px;line-height:24px">
<h1 style="margin:0 0 4px;font-size:24px;line-height:32px">{escape(page.title)}</h1>
<p class="quiet" style="margin:0">{escape(page.intro)}</p>
{blocks}
<p class="quiet" style="margin:28px 0 0;font-size:13px;line-height:20px;overflow-wrap:anywhere">\
{escape(page.footer)}</p>
</td></tr></table>
</td></tr></table>
</body>
</html>
"""


def _block(block: Block, page: Page) -> str:
    heading = f'<h2 style="margin:28px 0 8px;font-size:18px;line-height:26px">{escape(block.heading)}</h2>'
    parts = [heading]
    if block.bars:
        parts.append(_legend(page))
        parts += [_bar(bar) for bar in block.bars]
    if block.lines:
        items = "".join(
            f'<li style="margin:0 0 6px;overflow-wrap:anywhere">{escape(line)}</li>' for line in block.lines
        )
        style = "margin:0;padding-left:20px"
        parts.append(f'<ul style="{style}">{items}</ul>')
    inside = "\n".join(parts)
    if not block.is_urgent:
        return inside
    return (
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="margin-top:20px">'
        f'<tr><td class="urgent" style="padding-left:14px">{inside.replace("margin:28px 0 8px", "margin:0 0 8px")}'
        "</td></tr></table>"
    )


def _legend(page: Page) -> str:
    now, earlier = map(escape, page.legend)
    square = "display:inline-block;width:10px;height:10px;border-radius:2px"
    return (
        '<p class="quiet" style="margin:0 0 8px;font-size:13px;line-height:20px">'
        f'<span class="now" style="{square}"></span> {now} &nbsp; '
        f'<span class="earlier" style="{square}"></span> {earlier}</p>'
    )


def _bar(bar: Bar) -> str:
    return (
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="margin:0 0 10px">'
        f'<tr><td style="font-size:14px;line-height:20px">{escape(bar.label)}</td>'
        f'<td align="right" style="font-size:14px;line-height:20px;white-space:nowrap;padding-left:8px">'
        f'<strong>{escape(bar.now)}</strong> <span class="quiet">{escape(bar.earlier)}</span></td></tr>'
        f'<tr><td colspan="2">{_cells(bar.share, "now", 10)}{_cells(bar.share_earlier, "earlier", 6)}</td></tr></table>'
    )


def _cells(share: float, kind: str, height: int) -> str:
    """Return a bar as a table of one or two cells; nothing where it has no length."""
    if share <= 0:
        return ""
    percent = _length(share, 100)
    rest = "" if percent >= 100 else f'<td width="{100 - percent}%"></td>'
    style = f"height:{height}px;line-height:{height}px;font-size:1px;border-radius:2px"
    return (
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="margin-top:2px">'
        f'<tr><td class="{kind}" width="{percent}%" style="{style}">&nbsp;</td>{rest}</tr></table>'
    )
