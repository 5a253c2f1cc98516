"""Exports of other tools, imported as they are: people, consents, orders, and every cell that could not be read."""

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from nurture.app.importing import ImportOptions, ImportResult, import_file
from nurture.app.importing.options import read_map
from nurture.app.importing.run import open_file
from nurture.app.importing.seen import SeenCounter
from nurture.consent.load_permissions import load_permissions
from nurture.database import schema as t
from nurture.database.engine import Database, decode
from nurture.domain.errors import InputError
from nurture.domain.instant import parse_iso, to_iso
from nurture.runtime.clock import ManualClock
from tests.architecture.sources import ROOT
from tests.scenarios.world import World, shipped

EXPORTS = ROOT / "tests/importing/exports"
NOW = parse_iso("2026-11-30T12:00:00Z")
GERMAN = {
    "Kundennr.": "user_id", "E-Mail": "email", "Vorname": "firstName", "Nachname": "lastName", "Telefon": "phone",
    "PLZ": "postal_code", "Geburtsdatum": "birthday", "Newsletter": "consent_news", "Anmeldung am": "consent_at",
    "Umsatz": "turnover",
}  # fmt: skip
MEMBERS = "mailchimp_{}_members_export_0a1b2c3d4e.csv"
OPTIONS: dict[str, ImportOptions] = {
    "excel_de_semicolon.csv": ImportOptions("contacts", map=GERMAN),
    "excel_de_kunden.xlsx": ImportOptions("contacts", map=GERMAN),
    "klaviyo_profiles.csv": ImportOptions(preset="klaviyo"),
    MEMBERS.format("subscribed"): ImportOptions(preset="mailchimp"),
    MEMBERS.format("unsubscribed"): ImportOptions(preset="mailchimp"),
    MEMBERS.format("cleaned"): ImportOptions(preset="mailchimp"),
    "shopify_customers_export.csv": ImportOptions(preset="shopify-customers"),
    "shopify_orders_export.csv": ImportOptions(preset="shopify-orders"),
    "woocommerce_order_export.csv": ImportOptions(preset="woocommerce-orders"),
    "stripe_customers.csv": ImportOptions("contacts", map={"Email": "email", "id": "stripe_customer"}),
}


def expected(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((EXPORTS / f"{name}.expected.json").read_text("utf-8"))
    return document


def read(path: Path, options: ImportOptions) -> tuple[ImportResult, list[dict[str, Any]]]:
    """Return the counts of a file, and its events as comparable values; no database is needed to read."""
    opened = open_file(path, options, shipped().playbook, now=NOW)
    result, events = ImportResult(), []
    with SeenCounter() as seen:
        for row in opened.rows():
            result.add(row, opened.table, seen, now=NOW)
            events += [
                {"id": event.message_id, "name": event.name, "at": event.occurred_at, "who": event.identities,
                 "properties": dict(event.properties), "traits": dict(event.traits)}
                for event in row.events
            ]  # fmt: skip
    return result, events


@pytest.mark.parametrize("name", OPTIONS)
def test_an_export_gives_what_is_expected_of_it(name: str) -> None:
    wanted = expected(name)
    result, _ = read(EXPORTS / name, OPTIONS[name])
    assert result.rows == wanted.get("rows", wanted.get("csv_records"))
    assert result.accepted + result.rejected == result.rows
    faults = [rejected["reason_class"] for rejected in wanted["rejected"]]
    assert sorted(result.by_reason.elements()) == sorted(faults)
    for rejected in wanted["rejected"]:
        place = rejected.get("line") or rejected.get("row")
        assert place is None or any(f":{place}: " in line for line in result.rejects)
    listed = {item["cell"] for item in result.unread} | {item["cell"] for item in result.remarks}
    unread = wanted.get("cells_unread", {})
    for column, cells in unread.items():
        # A day without a year is kept, and an ambiguous amount is decided by its column.
        known = [str(cell).partition(" (")[0] for cell in cells if " kept as such" not in str(cell)]
        known = known if column != "ambiguous_money" else []
        assert all(any(cell in text for text in listed) or ": " in cell for cell in known), (known, listed)


def test_all_files_in_any_order_and_twice_give_the_same_people(
    sqlite_database: Database, tmp_path: Path
) -> None:
    world = World(sqlite_database, clock=ManualClock(NOW))
    shared = {MEMBERS.format(word) for word in ("cleaned", "unsubscribed", "subscribed")}
    for name in [*sorted(shared), *sorted(shared, reverse=True)]:
        path = tmp_path / name
        path.write_bytes((EXPORTS / name).read_bytes())
        import_file(world.services, path, OPTIONS[name], actor="cli:test")
    world.work()
    states = consents(sqlite_database)
    # She withdrew before she confirmed; he bounced, which says nothing about his consent.
    assert (states["anna.berg@example.com"], states["bo.kim@example.com"]) == (
        {"news": "granted"},
        {"news": "granted"},
    )
    assert states["vic@example.com"] == {"news": "withdrawn"}
    assert "cora@example.com" not in states
    with sqlite_database.read() as connection:
        reasons = connection.execute(sa.select(t.suppression_reasons.c.reason)).scalars().all()
        people = connection.execute(sa.select(t.contacts.c.email, t.contacts.c.stage))
        stages = {row.email: row.stage for row in people}
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.quarantine)) == 0
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.messages)) == 0
    assert (reasons.count("hard_bounce"), set(reasons)) == (12, {"hard_bounce", "complaint"})
    # A confirmed subscriber stands where one stands who confirmed here.
    assert (stages["anna.berg@example.com"], stages["uma@example.com"]) == ("subscribe", "aware")


def consents(database: Database) -> dict[str, dict[str, str]]:
    """Return address -> topic -> state of everybody with a consent."""
    with database.read() as connection:
        people = {row.id: row.email for row in connection.execute(sa.select(t.contacts))}
        held = load_permissions(connection, list(people))
    return {str(people[person]): dict(of.consents) for person, of in held.items() if of.consents}


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda content: content,
    "CRLF": lambda content: content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    "BOM": lambda content: b"\xef\xbb\xbf" + content.removeprefix(b"\xef\xbb\xbf"),
    "no BOM": lambda content: content.removeprefix(b"\xef\xbb\xbf"),
    "UTF-16": lambda content: content.decode("utf-8-sig").encode("utf-16"),
}


def shuffled(content: bytes) -> bytes:
    """Return the file with its records in another order."""
    header, *records = csv.reader(content.decode("utf-8-sig").splitlines(keepends=True))
    stream = StringIO()
    csv.writer(stream).writerows([header, *sorted(records, key=lambda cells: cells[::-1])])
    return stream.getvalue().encode()


@pytest.mark.parametrize("name", [name for name in OPTIONS if not name.startswith("excel")])
def test_the_form_of_a_file_and_the_order_of_its_rows_change_nothing(tmp_path: Path, name: str) -> None:
    content = (EXPORTS / name).read_bytes()
    result, events = read(EXPORTS / name, OPTIONS[name])
    content_of_events = sorted(map(repr, (without_line_breaks(event) for event in events)))
    for change in (*FORMS.values(), shuffled):
        path = tmp_path / name
        path.write_bytes(change(content))
        other, others = read(path, OPTIONS[name])
        assert sorted(map(repr, (without_line_breaks(event) for event in others))) == content_of_events
        assert (other.accepted, other.by_reason, other.cells_unread) == (
            result.accepted, result.by_reason, result.cells_unread,
        )  # fmt: skip


def without_line_breaks(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event without its id and with one kind of line break in its texts."""
    kept = {key: value for key, value in event.items() if key != "id"}
    return json.loads(json.dumps(kept, default=str).replace("\\r\\n", "\\n"))  # type: ignore[no-any-return]


def test_values_of_a_german_spreadsheet() -> None:
    result, events = read(EXPORTS / "excel_de_semicolon.csv", OPTIONS["excel_de_semicolon.csv"])
    people = {dict(event["who"]).get("email"): event for event in events if event["name"] == "Identified"}
    turnover = {email: event["traits"].get("turnover") for email, event in people.items()}
    assert turnover["juergen@example.com"] == 1234.5
    assert turnover["ilse@example.com"] == 1234
    assert (turnover["kai.nase@example.com"], turnover["oemer@example.com"]) == (-5, 7.5)
    assert "uli@example.com" in turnover
    assert turnover["uli@example.com"] is None
    assert people["juergen@example.com"]["traits"]["postal_code"] == "01067"
    assert people["kai.nase@example.com"]["traits"]["birthday"] == "--12-24"
    assert ("phone", "+49305550142") in people["juergen@example.com"]["who"]
    assert result.cells_unread["Umsatz"] == 1


def test_orders_of_shopify_keep_their_lines_and_their_money() -> None:
    _, events = read(EXPORTS / "shopify_orders_export.csv", OPTIONS["shopify_orders_export.csv"])
    orders = {
        event["properties"]["order_id"]: event for event in events if event["name"] == "Order Completed"
    }
    first = orders["3812345671"]["properties"]
    assert (first["revenue"], first["total"], first["currency"], first["coupon"]) == (
        47,
        56.29,
        "USD",
        "FALL5",
    )
    assert first["products"] == [
        {"product_id": "FERN-1", "sku": "FERN-1", "name": "Fern Print", "quantity": 2, "price": 16},
        {"product_id": "FRAME-1", "sku": "FRAME-1", "name": "Frame, oak", "quantity": 1, "price": 20},
    ]
    assert to_iso(orders["3812345671"]["at"]) == "2026-09-03T14:14:00Z"
    refunded = [event["properties"] for event in events if event["name"] == "Order Refunded"]
    assert [(refund["order_id"], refund["total"], refund["full"]) for refund in refunded] == [
        ("3812345672", 30, True), ("3812345673", 90, False),
    ]  # fmt: skip
    # A voided and a pending order are no orders.
    assert len(orders) == 7


def test_orders_of_woocommerce_are_cut_at_the_last_mark_of_each_key() -> None:
    result, events = read(EXPORTS / "woocommerce_order_export.csv", OPTIONS["woocommerce_order_export.csv"])
    orders = {
        event["properties"]["order_id"]: event for event in events if event["name"] == "Order Completed"
    }
    assert orders["5008"]["properties"]["products"][0]["name"] == "Name with | pipe: and colon"
    assert (orders["5010"]["properties"]["total"], len(orders["5001"]["properties"]["products"])) == (15, 2)
    assert dict(orders["5002"]["who"])["user_id"] == "17"
    assert "user_id" not in dict(orders["5001"]["who"])
    assert (result.orders, result.orders_net) == (6, 5)


def test_an_unreadable_date_of_a_refund_is_listed_and_the_refund_counts(tmp_path: Path) -> None:
    name = "woocommerce_order_export.csv"
    text = (EXPORTS / name).read_text("utf-8")
    header, first, *rest = text.splitlines()
    cells = next(csv.reader([first]))
    cells[header.split(",").index("refund_items")] = "amount:5.00|reason:late|date:some day"
    stream = StringIO()
    csv.writer(stream, lineterminator="").writerow(cells)
    path = lines(tmp_path, "\n".join([header, stream.getvalue(), *rest]) + "\n", name)
    result, events = read(path, OPTIONS[name])
    refunds = [event["properties"] for event in events if event["name"] == "Order Refunded"]
    assert [refund["total"] for refund in refunds if refund["order_id"] == "5001"] == [5]
    assert result.cells_unread["refund_items"] == 1


def test_a_file_without_addresses_is_refused_with_what_to_use_instead() -> None:
    with pytest.raises(InputError, match="WebToffee"):
        read(EXPORTS / "woocommerce_analytics_orders.csv", ImportOptions(preset="woocommerce-orders"))


def lines(tmp_path: Path, text: str, name: str = "file.csv", encoding: str = "utf-8") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def test_lines_of_an_order_may_stand_apart_and_a_spreadsheets_id_is_no_key(tmp_path: Path) -> None:
    header = "Name,Email,Financial Status,Paid at,Total,Currency,Lineitem name,Lineitem quantity,Lineitem price,Id\n"
    path = lines(tmp_path, header + (
        '#1,a@b.example,paid,2026-05-01 10:00:00 +0200,30,EUR,Cup,1,10,"5,81235E+12"\n'
        "#2,c@b.example,paid,2026-05-01 10:00:00 +0200,5,EUR,Pot,1,5,77\n"
        "#1,a@b.example,,,,,Tea,2,10,\n"
    ))  # fmt: skip
    _, events = read(path, ImportOptions(preset="shopify-orders"))
    orders = {event["properties"]["order_id"]: event["properties"] for event in events}
    assert [product["name"] for product in orders["#1"]["products"]] == ["Cup", "Tea"]
    assert set(orders) == {"#1", "77"}


def test_tax_inside_the_subtotal_is_no_revenue(tmp_path: Path) -> None:
    header = "Name,Email,Financial Status,Paid at,Subtotal,Shipping,Taxes,Total,Currency\n"
    path = lines(tmp_path, header + "#1,a@b.example,paid,2026-05-01,119.00,0,19.00,119.00,EUR\n")
    _, (event,) = read(path, ImportOptions(preset="shopify-orders"))
    assert (event["properties"]["revenue"], event["properties"]["total"]) == (100, 119)


def test_orders_with_a_record_for_each_product(tmp_path: Path) -> None:
    header = (
        "Order Number,Order Status,Order Date,Email (Billing),SKU,Item Name,Quantity,Item Cost,Order Total\n"
    )
    path = lines(tmp_path, header + (
        "7,Completed,2026-08-05 11:11,a@b.example,C,Cup,2,5.00,18.00\n"
        "7,Completed,2026-08-05 11:11,a@b.example,T,Tea,1,8.00,18.00\n"
        "8,On hold,2026-08-05 11:11,a@b.example,T,Tea,1,8.00,8.00\n"
    ))  # fmt: skip
    result, (event,) = read(path, ImportOptions(preset="woocommerce-orders", set={"zone": "UTC"}))
    assert (event["properties"]["order_id"], event["properties"]["total"], len(event["properties"]["products"])) == (
        "7", 18, 2,
    )  # fmt: skip
    assert (result.accepted, result.orders) == (3, 1)


def test_lines_in_cells_stay_in_their_order_wherever_their_columns_stand(tmp_path: Path) -> None:
    header = "order_id,status,order_date,order_total,billing_email,billing_phone,customer_id,refund_items,"
    row = "1,completed,2026-08-05 11:11:07,9.00,a@b.example,0171 5550101,0,no parts,"
    header += "line_item_2,line_item_1\n"
    row += "name:B|quantity:1|total:4,name:A|quantity:1|total:5\n"
    result, (order,) = read(lines(tmp_path, header + row), ImportOptions(preset="woocommerce-orders"))
    assert [product["name"] for product in order["properties"]["products"]] == ["A", "B"]
    assert [item["column"] for item in result.unread] == ["billing_phone", "refund_items"]


def test_other_tools_come_in_by_mapping(tmp_path: Path) -> None:
    text = "EMAIL;EMAIL_BLACKLISTED;MODIFIED_TIME\nA@B.example;Yes;12-04-2022 09:30\nc@b.example;No;\n"
    brevo = lines(tmp_path, text)
    options = ImportOptions(
        "contacts", map=read_map(["EMAIL_BLACKLISTED=optout_news", "MODIFIED_TIME=consent_at"])
    )
    result, _ = read(brevo, options)
    assert (result.consents["withdrawn"], result.consents["granted"], result.cells_unread) == (1, 0, {})
    at = "2023-05-01 10:11:12.1 +0000 UTC"
    listmonk = lines(tmp_path, (
        "uuid,email,name,attributes,status,created_at,updated_at\n"
        f'1,a@b.example,A,"{{""city"": ""Bonn""}}",enabled,{at},{at}\n2,b@b.example,B,{{}},blocklisted,{at},{at}\n'
    ))  # fmt: skip
    result, _ = read(
        listmonk, ImportOptions("contacts", map={"status": "consent", "updated_at": "consent_at"})
    )
    assert (result.consents.total(), dict(result.suppressions)) == (0, {"ops": 1})


def test_a_list_of_suppressions_suppresses_for_unknown_reasons_too(tmp_path: Path) -> None:
    path = lines(tmp_path, "Email,Reason,Timestamp\na@b.example,Hard Bounce,2025-01-01\nb@b.example,Whim,\n")
    options = ImportOptions("suppressions", map={"Reason": "suppressed", "Timestamp": "suppressed_at"})
    result, events = read(path, options)
    assert (dict(result.suppressions), events) == ({"hard_bounce": 1, "unsubscribed": 1}, [])
    assert [item["cell"] for item in result.remarks] == ["Whim"]


def test_every_column_about_suppression_counts(tmp_path: Path) -> None:
    path = lines(tmp_path, (
        "Email,Portal Bounce,Portal Unsubscribe,Portal Spam Report\na@b.example,FALSE,TRUE,FALSE\n"
        "b@b.example,TRUE,FALSE,TRUE\n"
    ))  # fmt: skip
    reasons = ["hard_bounce", "unsubscribed", "complaint"]
    columns = ["Portal Bounce", "Portal Unsubscribe", "Portal Spam Report"]
    mapping = {column: f"suppressed:{reason}" for column, reason in zip(columns, reasons, strict=True)}
    result, _ = read(path, ImportOptions("suppressions", map=mapping))
    assert dict(result.suppressions) == {"hard_bounce": 1, "unsubscribed": 1, "complaint": 1}


def test_times_among_traits_are_texts_that_facts_can_read(tmp_path: Path) -> None:
    path = lines(tmp_path, "email,Joined\na@b.example,15.01.2024 10:00\n")
    _, (event,) = read(path, ImportOptions("contacts", map={"Joined": "joined_at:instant"}))
    assert event["traits"] == {"joined_at": "2024-01-15T09:00:00Z"}


def test_json_lines_keep_their_types(tmp_path: Path) -> None:
    value = {"email": "a@b.example", "event": "Article Read", "timestamp": "2026-03-01T12:00:00Z", "score": 9,
             "category": ["a", "b"], "deep": {"n": 1.5}}  # fmt: skip
    _, (event,) = read(lines(tmp_path, json.dumps(value), "file.jsonl"), ImportOptions())
    assert event["properties"] == {"score": 9, "category": ["a", "b"], "deep": {"n": 1.5}}
    assert to_iso(event["at"]) == "2026-03-01T12:00:00Z"


#: Texts with all that a cell of another tool may hold.
CELLS = st.one_of(
    st.sampled_from(
        [
            "",
            "a@b.example",
            "x@",
            "ja",
            "nein",
            "vielleicht",
            "1,5",
            "1.234,50",
            "abc",
            "31.12.1990",
            "1/2/24",
        ]
    ),
    st.text(st.sampled_from("aü1,;.\t\"'\n@ €-"), max_size=6),
)
FUZZED = ["email", "Telefon", "consent_news", "consent_at", "birthday", "revenue", "note"]


@given(
    st.lists(st.lists(CELLS, min_size=len(FUZZED) - 1, max_size=len(FUZZED) + 1), max_size=6), st.booleans()
)
def test_no_row_and_no_cell_is_dropped_silently(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], is_contacts: bool
) -> None:
    stream = StringIO()
    csv.writer(stream, delimiter=";").writerows([FUZZED, *rows])
    path = lines(tmp_path_factory.getbasetemp(), stream.getvalue(), "fuzzed.csv")
    mapping = {"Telefon": "phone", "revenue": "revenue:money"}
    options = ImportOptions("contacts" if is_contacts else "events", map=mapping, event="Seen", delimiter=";")
    opened = open_file(path, options, shipped().playbook, now=NOW)
    filled = [row for row in rows if any(cell and not cell.isspace() for cell in row)]
    read_rows = list(opened.rows())
    assert len(read_rows) == len(filled)
    for row, cells in zip(read_rows, filled, strict=True):
        if row.rejection is not None:
            continue
        kept = dict(zip(FUZZED, cells, strict=False))
        assert row.cells == sum(bool(cell) and not cell.isspace() for cell in kept.values())
        spoken = repr([row.events, row.consents])
        unread = {remark.column for remark in row.remarks}
        for name in ("Telefon", "birthday", "revenue", "consent_at"):
            if (cell := kept[name]) and not cell.isspace():
                stands = {"Telefon": "phone", "consent_at": "consents" if row.consents else ""}.get(
                    name, name
                )
                assert name in unread or stands in spoken


def test_constants_and_words_of_the_command_line(tmp_path: Path) -> None:
    path = lines(tmp_path, "email,news\na@b.example,no\nb@b.example,\n")
    constants = {"no": "withdrawn", "consent_at": "2025-01-01"}
    options = ImportOptions("contacts", map={"news": "consent_news"}, set=constants)
    result, _ = read(path, options)
    assert (dict(result.consents), to_iso(result.first or 0)[:10]) == ({"withdrawn": 1}, "2025-01-01")
    result, _ = read(path, ImportOptions("contacts", set={"status": "subscribed", "topic": "offers"}))
    assert result.consents["granted"] == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (ImportOptions("contacts", map={"Emial": "email"}), "did you mean email"),
        (ImportOptions("contacts", set={"consent_nope": "granted"}), "no topic 'nope'"),
        (ImportOptions("contacts", set={"topic": "nope"}), "no such topic"),
        (ImportOptions("contacts", set={"zone": "Mars"}), "no such time zone"),
        (ImportOptions("contacts", set={"country": "XX"}), "two letters"),
        (ImportOptions("contacts", locale="tlh-XX"), "no such language"),
        (ImportOptions("contacts", date_format="d.m.Y"), "%d.%m.%Y"),
        (ImportOptions("contacts", map={"email": "name:colour"}), "a type of"),
        (ImportOptions("contacts", map={"email": "-"}), "no column names a person"),
        (ImportOptions(preset="mailchimp"), "--set status"),
        (ImportOptions(delimiter="ab"), "one character"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_the_first_row(
    tmp_path: Path, options: ImportOptions, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        read(lines(tmp_path, "email,name\na@b.example,A\n"), options)


def test_rejected_rows_come_back_in_the_form_of_the_file_and_can_be_corrected(
    sqlite_database: Database, tmp_path: Path
) -> None:
    world = World(sqlite_database, clock=ManualClock(NOW))
    path = lines(
        tmp_path, "Name;E-Mail;Umsatz\nJürgen;a@b.example;1,00\nZoë;nobody;2,00\n", encoding="cp1252"
    )
    first = import_file(world.services, path, ImportOptions("contacts"), actor="cli:test")
    rejected = Path(str(first.rejected_file))
    assert rejected.read_text("cp1252").splitlines() == [
        "Name;E-Mail;Umsatz;rejected_because",
        "Zoë;nobody;2,00;file.csv:3: E-Mail: 'nobody' is no e-mail address: correct it",
    ]
    rejected.write_bytes(rejected.read_bytes().replace(b"nobody", b"zoe@b.example"))
    again = import_file(world.services, rejected, ImportOptions("contacts"), actor="cli:test")
    world.work()
    assert (again.accepted, again.rejected, again.rejected_file) == (1, 0, None)
    with sqlite_database.read() as connection:
        bodies = [decode(row.body)["traits"] for row in connection.execute(sa.select(t.events))]
    assert bodies[1] == {"Name": "Zoë", "Umsatz": 2}


def test_a_refund_that_the_shop_told_is_not_counted_again_by_an_export(
    sqlite_database: Database, tmp_path: Path
) -> None:
    world = World(sqlite_database, clock=ManualClock(NOW))
    header = "Name,Email,Financial Status,Paid at,Subtotal,Total,Currency,Refunded Amount,Id\n"
    line = "#1,a@b.example,partially_refunded,2026-11-01 10:00:00 +0000,100,100,EUR,{},77\n"
    options = ImportOptions(preset="shopify-orders")

    def refunds_after(refunded: int) -> list[int]:
        import_file(
            world.services, lines(tmp_path, header + line.format(refunded)), options, actor="cli:test"
        )
        world.work()
        with sqlite_database.read() as connection:
            rows = connection.execute(sa.select(t.events).where(t.events.c.name == "Order Refunded"))
            return sorted(decode(row.body)["properties"]["total"] for row in rows)

    assert refunds_after(30) == [30]
    # The same sum again, then a greater one: the newer sum takes the place of the older one.
    assert refunds_after(30) == [30]
    assert refunds_after(40) == [30, 40]
    world.tell("a@b.example", "Order Refunded", order_id="77", refund_id="7001", total=25)
    world.work()
    assert refunds_after(65) == [25, 30, 40, 65]
    # An export from before the newest refunds adds nothing, and neither does a late word of one that a sum contains.
    assert refunds_after(20) == [20, 25, 30, 40, 65]
    world.tell("a@b.example", "Order Refunded", order_id="77", refund_id="7000", total=40)
    world.work()
    with sqlite_database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.quarantine)) == 0
        facts = connection.execute(sa.select(t.contacts.c.facts)).scalar_one()
    assert facts["spent"] == 3_500


def test_a_dry_run_counts_and_changes_nothing(sqlite_database: Database, tmp_path: Path) -> None:
    world = World(sqlite_database, clock=ManualClock(NOW))
    path = lines(tmp_path, "email\na@b.example\nnobody\n")
    result = import_file(world.services, path, ImportOptions("contacts"), actor="cli:test", dry_run=True)
    assert (result.accepted, result.rejected, result.rejected_file) == (1, 1, None)
    assert not list(tmp_path.glob("*.rejected"))
    with sqlite_database.read() as connection:
        assert (
            connection.execute(sa.select(t.imports)).all()
            == connection.execute(sa.select(t.inbox)).all()
            == []
        )


def test_an_interrupted_import_continues_and_counts_the_whole_file(
    sqlite_database: Database, tmp_path: Path
) -> None:
    world = World(sqlite_database, clock=ManualClock(NOW))
    path = lines(
        tmp_path, "email\n" + "".join(f"p{number}@b.example\n" for number in range(2_500)) + "nobody\n"
    )

    def stop(rows: int) -> None:
        if rows >= 1_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_file(world.services, path, ImportOptions("contacts"), actor="cli:test", progress=stop)
    result = import_file(world.services, path, ImportOptions("contacts"), actor="cli:test")
    assert (result.resumed_at, result.accepted, result.rejected) == (1_000, 2_500, 1)
    with sqlite_database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.inbox)) == 2_500


def test_an_undated_consent_is_told_once_however_often_the_file_comes(
    sqlite_database: Database, tmp_path: Path
) -> None:
    world = World(sqlite_database, clock=ManualClock(NOW))
    for day, note in enumerate(("", "x\n")):
        path = lines(tmp_path, f"email,consent_news\na@b.example,yes\n{note and 'b@b.example,yes'}\n")
        import_file(world.services, path, ImportOptions("contacts"), actor="cli:test")
        world.live(7 * 24 * 3600 * 1_000_000 * (day == 0))
        world.work()
    with sqlite_database.read() as connection:
        facts = {
            row.email: row.facts["topics_confirmed"] for row in connection.execute(sa.select(t.contacts))
        }
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.quarantine)) == 0
    assert facts == {"a@b.example": 1, "b@b.example": 1}


def test_two_customers_at_one_address_stay_two(sqlite_database: Database, tmp_path: Path) -> None:
    world = World(sqlite_database, clock=ManualClock(NOW))
    path = EXPORTS / "shopify_customers_export.csv"
    content = path.read_text("utf-8").replace("lena@example.com,no", "lena@example.com,yes")
    import_file(world.services, lines(tmp_path, content), OPTIONS[path.name], actor="cli:test")
    world.work()
    with sqlite_database.read() as connection:
        living = connection.execute(sa.select(t.contacts.c.id).where(t.contacts.c.survivor.is_(None))).all()
        assert len(living) == 13
        assert connection.scalar(sa.select(sa.func.count()).select_from(t.conflicts)) == 1


def test_an_order_without_a_time_names_the_cells_of_its_times_alone() -> None:
    name = "woocommerce_order_export.csv"
    rows = open_file(EXPORTS / name, OPTIONS[name], shipped().playbook, now=NOW).rows()
    (fault,) = [row.rejection for row in rows if row.rejection and row.rejection.kind == "bad_date"]
    assert str(fault) == "order_date '0000-00-00 00:00:00': no date of the order can be read: correct it"
