"""Made-up exports in the manner of other tools, of whose cells it is known what an import must make of them.

`Cell.value` is what the import must read; UNREAD is a cell that must be listed, REJECTED one that costs its record,
NOTHING one that may be anything.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, Final, Protocol, TypeVar

from nurture.app.importing import ImportOptions

T = TypeVar("T")

UNREAD: Final = object()
REJECTED: Final = object()
NOTHING: Final = object()

NAMES = (
    *("Jürgen", "Zoë", "O'Neil", "'t Hart", "Łukasz", 'Anna "Nanni"', "=1+1", "@home", "", "nan"),
    *("de la Cruz", "Smith, Jr.", "王", "a\tb", "two\nlines", "a;b|c"),
)
CHINESE = ("李雷", "王芳", "张伟", "欧阳娜娜", "韩梅梅")
GERMAN_MONTHS = (
    "Januar",
    "Feb.",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "Aug.",
    "Sept.",
    "Okt.",
    "Nov.",
    "Dezember",
)
FRENCH_MONTHS = (
    "janv.",
    "févr.",
    "mars",
    "avril",
    "mai",
    "juin",
    "juil.",
    "août",
    "sept.",
    "oct.",
    "nov.",
    "déc.",
)
CONSENTS = {
    "granted": ("yes", "Y", "TRUE", "1", "ja", "WAHR", "oui", "sí", "是", "Subscribed", "opt-in", " active "),
    "withdrawn": ("Unsubscribed", "opted out", "abgemeldet", "退订"),
    "pending": ("pending", "unconfirmed"),
    "nothing": ("no", "N", "FALSE", "0", "nein", "falsch", "否", "never_subscribed", "non-subscribed"),
    "suppressed": ("cleaned", "bounced", "blocklisted"),
}


class Draws(Protocol):
    """Draws values, as `random.Random` does."""

    def random(self) -> float:
        """Return a number from 0 to 1."""
        ...

    def randint(self, a: int, b: int) -> int:
        """Return a whole number from a to b."""
        ...

    def choice(self, seq: Sequence[T]) -> T:
        """Return one of the values."""
        ...


@dataclass(frozen=True, slots=True)
class Cell:
    """The text of a cell, and what an import must make of it."""

    text: str
    value: Any = NOTHING


@dataclass(slots=True)
class MadeFile:
    """A file of people. fields: column -> the field that it fills."""

    fields: Mapping[str, str]
    options: ImportOptions
    records: list[list[Cell]] = field(default_factory=list)

    def texts(self) -> list[list[str]]:
        """Return the header and the records as texts."""
        return [[*self.fields], *([cell.text for cell in record] for record in self.records)]


def encoded(
    texts: Sequence[Sequence[str]],
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
    newline: str = "\n",
    quoting: int = csv.QUOTE_MINIMAL,
) -> bytes:
    """Return rows as the bytes of a file."""
    stream = StringIO(newline="")
    csv.writer(stream, delimiter=delimiter, lineterminator=newline, quoting=quoting).writerows(texts)  # type: ignore[arg-type]
    return stream.getvalue().encode(encoding)


# ---- cells -----------------------------------------------------------------------------------------------


def address(draws: Draws, number: int) -> Cell:
    """Return an address in one of the forms that files have, a broken one now and then."""
    if draws.random() < 0.06:
        broken = ["nobody", "a@", "@b.example", "a b@c.example", "x@y", "two@a.example, b@c.example"]
        return Cell(draws.choice(broken), REJECTED)
    plain = f"p{number}@shop.example"
    forms = [
        Cell(plain, plain),
        Cell(plain.upper(), plain),
        Cell(f"  {plain} ", plain),
        Cell(f"p{number}+news@shop.example", f"p{number}+news@shop.example"),
        Cell(f"p{number}@müller.example", f"p{number}@xn--mller-kva.example"),
        Cell(f"P{number}@例子.example", f"p{number}@xn--fsqu00a.example"),
    ]
    return draws.choice(forms)


def money(draws: Draws, style: str) -> Cell:
    """Return an amount as a language writes it."""
    if draws.random() < 0.05:
        return Cell(draws.choice(["abc", "1e5", "12,34,5.6.7", "--5", "#DIV/0!", "NaN", "inf"]), UNREAD)
    cents = draws.choice([0, 5, 99, 1990, 123450, 123456789, -500])
    sign, part = "-" if cents < 0 else "", f"{abs(cents) % 100:02}"
    whole = f"{abs(cents) // 100:,}"
    german, french = whole.replace(",", "."), whole.replace(",", "\u202f")
    wide = str.maketrans("0123456789.", "０１２３４５６７８９．")
    forms = {
        "de": [
            f"{sign}{german},{part}",
            f"{sign}{german},{part} €",
            f"€ {sign}{german},{part}",
            f"{german},{part}{sign}",
        ],
        "fr": [f"{sign}{french},{part} €", f"{sign}{whole.replace(',', chr(160))},{part}"],
        "us": [
            f"{sign}{whole}.{part}",
            f"{sign}${whole}.{part}",
            f"({whole}.{part})" if sign else f"USD {whole}.{part}",
        ],
        "zh": [f"{sign}￥{whole}.{part}", f"{sign}{whole}.{part}元", f"{sign}{whole}.{part}".translate(wide)],
    }
    return Cell(draws.choice(forms.get(style, [f"{sign}{abs(cents) // 100}.{part}"])), cents / 100)


def instant(draws: Draws, style: str) -> Cell:
    """Return a time as a language writes it; `value` is its day, in every zone of Europe."""
    if draws.random() < 0.05:
        broken = ["yesterday", "2025-13-01", "32.01.2025", "12", "1.5", "00.00.0000", "2025-02-30"]
        return Cell(draws.choice(broken), UNREAD)
    year, month, day = draws.randint(2020, 2025), draws.randint(1, 12), draws.randint(1, 28)
    hour = draws.randint(3, 21)
    clock, twelve = f"{hour:02}:05", f"{(hour - 1) % 12 + 1}:05"
    iso, german, french = (
        f"{year}-{month:02}-{day:02}",
        f"{day:02}.{month:02}.{year}",
        f"{day:02}/{month:02}/{year}",
    )
    noon = "下午" if hour >= 12 else "上午"
    forms = {
        "iso": [iso, f"{iso} {clock}:00", f"{iso}T{clock}:00Z", f"{iso} {clock}:00.123456 +0000 UTC"],
        "de": [
            german,
            f"{german} {clock}",
            f"{german}, {clock} Uhr",
            f"{day}. {GERMAN_MONTHS[month - 1]} {year}",
        ],
        "fr": [french, f"{french} à {clock}", f"{day} {FRENCH_MONTHS[month - 1]} {year} {hour}h05"],
        "us": [
            f"{month}/{day}/{year}",
            f"{month:02}/{day:02}/{year} {twelve} {'PM' if hour >= 12 else 'AM'}",
        ],
        "zh": [f"{year}/{month}/{day} {noon} {twelve}", f"{year}年{month}月{day}日 {clock}"],
        "brevo": [f"{day:02}-{month:02}-{year} {clock}:00", f"{day:02}-{month:02}-{year}"],
    }
    return Cell(draws.choice(forms[style]), iso)


def phone(draws: Draws, number: int) -> Cell:
    """Return a telephone number; local ones are German."""
    known, local = f"+49171{5550000 + number}", f"0171 {5550000 + number}"
    forms = [Cell(form, known) for form in (known, f"'{known}", local, f"0049{local[1:].replace(' ', '')}")]
    return draws.choice([Cell(""), *forms, Cell(draws.choice(["4,93E+11", "call me", "12"]), UNREAD)])


def consent(draws: Draws) -> Cell:
    """Return a word about consent."""
    state = draws.choice([*CONSENTS, "granted", "", "unread"])
    if state == "unread":
        return Cell(draws.choice(["maybe", "x", "2", "?"]), UNREAD)
    return Cell(draws.choice(CONSENTS[state]), state) if state else Cell("")


def text(draws: Draws, texts: Sequence[str]) -> Cell:
    """Return one of some texts, which stays as it is."""
    drawn = draws.choice(texts)
    return Cell(drawn, drawn) if drawn else Cell("")


def make_people(tool: str, draws: Draws, count: int) -> MadeFile:
    """Return a file of people as the tool writes it."""
    style, fields = TOOLS[tool]
    makers: dict[str, Callable[[int], Cell]] = {
        "email": lambda number: address(draws, number),
        "user_id": lambda number: text(draws, [f"c{number}", f"00{number}7"]),
        "name": lambda _: text(draws, CHINESE if style == "zh" else NAMES),
        "phone": lambda number: phone(draws, number),
        "consent_news": lambda _: consent(draws),
        "consent_at": lambda _: draws.choice([Cell(""), instant(draws, style)]),
        "turnover": lambda _: money(draws, style),
        "zip": lambda _: draws.choice(
            [Cell("01067", "01067"), Cell("'04109", "04109"), Cell("SW1A 1AA", "SW1A 1AA")]
        ),
        "tags": lambda _: draws.choice([Cell('"a, b",c', ["a, b", "c"]), Cell("x, y", ["x", "y"])]),
    }
    columns = {column: f"{name}:money" if name == "turnover" else name for name, column in fields.items()}
    locale = {"us": "en-US", "fr": "fr"}.get(style)
    options = ImportOptions("contacts", map=columns, set={"country": "DE"}, locale=locale)
    records = [[makers[name](number) for name in fields] for number in range(count)]
    return MadeFile({column: name for name, column in fields.items()}, options, records)


#: Tool -> the language of its cells, and field -> column.
TOOLS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "german": ("de", {"user_id": "Kundennr.", "email": "E-Mail", "name": "Vorname", "phone": "Telefon", "zip": "PLZ",
                      "consent_news": "Newsletter?", "consent_at": "Anmeldung am", "turnover": "Umsatz (€)"}),
    "french": ("fr", {"email": "Adresse e-mail", "name": "Prénom", "phone": "Téléphone", "consent_news": "Abonné",
                      "consent_at": "Date d’inscription", "turnover": "Chiffre d'affaires"}),
    "chinese": ("zh", {"email": "电子邮箱", "name": "名字", "phone": "手机", "consent_news": "订阅",
                       "consent_at": "注册时间", "turnover": "消费总额"}),
    "american": ("us", {"email": "Email Address", "name": "First Name", "zip": "ZIP", "consent_news": "Opt In",
                        "consent_at": "Signup Date", "turnover": "Lifetime Value", "tags": "Tags"}),
    "brevo": ("brevo", {"email": "EMAIL", "name": "LASTNAME", "phone": "SMS", "consent_at": "ADDED_TIME",
                        "consent_news": "DOUBLE_OPT-IN"}),
    "hubspot": ("iso", {"user_id": "Record ID", "name": "First Name", "email": "Email", "phone": "Phone Number",
                        "consent_at": "Create Date", "consent_news": "Marketing status", "tags": "Lists"}),
}  # fmt: skip
