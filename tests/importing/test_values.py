"""Values that an import must not take for something else: currencies, second addresses, rounded numbers."""

from pathlib import Path
from typing import Any

import openpyxl
import pytest

from nurture.app.importing import ImportOptions
from nurture.app.importing.row import Row
from nurture.app.importing.run import open_file
from tests.importing.test_exports import NOW
from tests.scenarios.world import shipped


def rows_of(path: Path, content: str, **options: Any) -> list[Row]:
    path.write_text(content)
    return list(open_file(path, ImportOptions(**options), shipped().playbook, now=NOW).rows())


ORDERS: dict[str, Any] = {"event": "Order Completed", "historic": True}


@pytest.mark.parametrize(
    ("amount", "revenue", "currency"),
    [
        ("19,90 €", 19.9, None),
        ("R$ 19,90", 19.9, "BRL"),
        ("19,90 zł", 19.9, "PLN"),
        ("USD 19,90", 19.9, "USD"),
    ],
)
def test_the_currency_beside_an_amount_is_the_orders(
    tmp_path: Path, amount: str, revenue: float, currency: str | None
) -> None:
    (row,) = rows_of(
        tmp_path / "a.csv",
        f'email;timestamp;order_id;revenue\na@b.example;2026-01-01;1;"{amount}"\n',
        **ORDERS,
    )
    properties = row.events[0].properties
    assert (properties["revenue"], properties.get("currency")) == (revenue, currency)


@pytest.mark.parametrize(
    ("cells", "word"),
    [("$5.00;", "a sign of several currencies"), ("5.00 CHF;EUR", "the row is in EUR")],
)
def test_an_amount_of_another_currency_is_not_counted(tmp_path: Path, cells: str, word: str) -> None:
    header = "email;timestamp;order_id;revenue;currency\n"
    path = tmp_path / "a.csv"
    (row,) = rows_of(path, f"{header}a@b.example;2026-01-01;1;{cells}\n", **ORDERS)
    assert row.rejection is not None
    assert (row.rejection.kind, word in str(row.rejection)) == ("bad_money", True)
    (row,) = rows_of(path, f"{header}a@b.example;2026-01-01;1;$5.00;CAD\n", **ORDERS)
    assert row.events[0].properties["currency"] == "CAD"
    # A sum that pays for nothing costs itself alone.
    (row,) = rows_of(
        path, f"{header.replace('revenue', 'shipping')}a@b.example;2026-01-01;1;$5.00;\n", **ORDERS
    )
    assert "shipping" not in row.events[0].properties
    assert row.remarks[0].is_unread


def test_a_second_address_of_a_row_is_listed(tmp_path: Path) -> None:
    content = "Email,E-Mail,Name\na@b.example,c@b.example,Ann\nA@b.example,a@b.example,Ann\n"
    first, second = rows_of(tmp_path / "a.csv", content, kind="contacts")
    assert [(remark.column, remark.cell) for remark in first.remarks] == [("E-Mail", "c@b.example")]
    assert second.remarks == []


def test_several_addresses_in_a_cell_are_named_as_the_reason(tmp_path: Path) -> None:
    content = 'Email\n"a@b.example; c@b.example"\nnobody\n"Ann Lee <ann@b.example>"\n'
    several, none, named = rows_of(tmp_path / "a.csv", content, kind="contacts")
    assert "several addresses" in str(several.rejection)
    assert "no e-mail address" in str(none.rejection)
    assert named.events[0].identities[0].value == "ann@b.example"


def test_a_number_that_a_spreadsheet_has_rounded_names_nobody(tmp_path: Path) -> None:
    path, book = tmp_path / "a.xlsx", openpyxl.Workbook()
    book.active.append(["Kundenliste"])
    book.active.append(["E-Mail", "id"])
    for number in (5812345678901234567, 7210448301001, "5812345678901234567"):
        book.active.append(["a@b.example", number])
    book.save(path)
    opened = open_file(
        path, ImportOptions(kind="contacts", map={"id": "user_id"}), shipped().playbook, now=NOW
    )
    rounded, exact, text = opened.rows()
    assert "rounded" in rounded.remarks[0].text
    kept = [{name.kind: name.value for name in row.events[0].identities} for row in (rounded, exact, text)]
    assert [names.get("user_id") for names in kept] == [None, "7210448301001", "5812345678901234567"]


def test_the_labels_of_an_audience_may_be_of_any_language(tmp_path: Path) -> None:
    content = "E-Mail-Adresse,Vorname,CONFIRM_TIME\na@b.example,Ann,2024-01-01 10:00:00\n"
    path = tmp_path / "subscribed_members_export_1.csv"
    (row,) = rows_of(path, content, preset="mailchimp", set={"topic": "news"})
    assert [name.value for name in row.events[0].identities] == ["a@b.example"]
