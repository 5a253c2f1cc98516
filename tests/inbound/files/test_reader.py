"""Files of other tools as tables: encodings, delimiters, quotes, workbooks; a broken record costs itself alone."""

import csv
import io
from datetime import datetime
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from nurture.domain.errors import InputError
from nurture.inbound.files import Table, TableOptions, open_table
from nurture.inbound.files.encoding import detect_encoding
from nurture.inbound.files.phones import read_phone
from nurture.inbound.files.table import CELL_MAX, CellError
from tests.architecture.sources import ROOT

EXPORTS = ROOT / "tests/importing/exports"
GERMAN = "Nr;Name;Ort\n1;Jürgen;Köln\n2;Zoë;Weiß\n"
CHINESE = "编号,姓名,城市\n1,张伟,北京\n2,王芳,上海\n"


def table_of(folder: Path, content: bytes, name: str = "file.csv", **options: Any) -> Table:
    path = folder / name
    path.write_bytes(content)
    return open_table(path, TableOptions(**options))


def rows_of(table: Table) -> list[list[Any]]:
    return [[record.line, *record.cells.values()] for record in table.records()]


@pytest.mark.parametrize(
    ("text", "encoding", "name"),
    [
        (GERMAN, "utf-8", "utf-8"),
        (GERMAN, "utf-8-sig", "utf-8"),
        (GERMAN, "cp1252", "cp1252"),
        (GERMAN, "utf-16", "utf-16"),
        (GERMAN, "utf-16-le", "utf-16-le"),
        (GERMAN, "utf-16-be", "utf-16-be"),
        (GERMAN, "utf-32", "utf-32"),
        (CHINESE, "gb18030", "gb18030"),
        (CHINESE, "utf-8", "utf-8"),
    ],
)
def test_the_encoding_is_recognised(tmp_path: Path, text: str, encoding: str, name: str) -> None:
    table = table_of(tmp_path, text.encode(encoding))
    assert table.encoding == name
    assert rows_of(table)[0][1:] == text.splitlines()[1].replace(";", ",").split(",")


def test_wide_digits_and_signs_of_money_are_no_foreign_text(tmp_path: Path) -> None:
    text = (
        "电子邮箱,消费总额\n"
        + "p{0}@例子.example,￥1.00\n" * 3
        + "a@b.example,２．００\nc@d.example,9.00元\n" * 4
    )
    assert table_of(tmp_path, text.encode("gb18030")).encoding == "gb18030"
    german = "Größe;MÜSSEN\nÄÖÜ;äöü ß ÄÖ\n"
    assert table_of(tmp_path, german.encode("cp1252")).encoding == "cp1252"


@pytest.mark.parametrize(
    ("names", "encoding"),
    [
        ("Иван Петров,Ольга", "cp1251"),
        ("Иван Петров,Ольга", "koi8-r"),
        ("Łukasz Żółć,Małgorzata Gdańska", "cp1250"),
        ("Jörg Müller,Köln", "mac_roman"),
        ("王小明,陳大文", "big5"),
        ("Γιώργος,Μαρία", "cp1253"),
    ],
)
def test_words_of_another_encoding_are_no_western_words(tmp_path: Path, names: str, encoding: str) -> None:
    content = ("email,name,other\n" + f"a@b.example,{names}\n" * 3).encode(encoding)
    with pytest.raises(InputError, match="--encoding"):
        table_of(tmp_path, content)
    assert ",".join(rows_of(table_of(tmp_path, content, encoding=encoding))[0][2:]) == names


@pytest.mark.parametrize(
    "text",
    [
        "Þýðir Æðislegt",
        "créée à l'œuvre",
        "¿Qué tal? ¡Señor!",
        "12 m² für 5 £",
        "Müßiggang ÄÖÜ",
        "«façade» 20 °C",
    ],
)
def test_western_words_are_read_and_one_is_shown(tmp_path: Path, text: str) -> None:
    table = table_of(
        tmp_path, f"email,name\na@b.example,{text}\nb@b.example,Jürgen\nc@b.example,Zoë\n".encode("cp1252")
    )
    assert rows_of(table)[0][2] == text
    assert table.notes[0].startswith("read as cp1252, for example ")


def test_an_umlaut_in_the_last_row_decides_too(tmp_path: Path) -> None:
    table = table_of(tmp_path, b"a,b\n" + b"1,2\n" * 5_000 + "1,ü\n".encode("cp1252"))
    assert table.encoding == "cp1252"
    assert [*table.records()][-1].cells["b"] == "ü"


def test_an_encoding_that_nobody_can_know_is_asked_for(tmp_path: Path) -> None:
    content = "a,b\nJ\u00fcrgen,\u00c5\n".encode("mac_roman").replace(b"\x9f", b"\x81")
    with pytest.raises(InputError, match="--encoding"):
        table_of(tmp_path, content)
    assert rows_of(table_of(tmp_path, content, encoding="mac_roman"))[0][1] == "JÅrgen"
    with pytest.raises(InputError, match="no such encoding"):
        table_of(tmp_path, b"a\n", encoding="utf-9")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_recognised(tmp_path: Path, delimiter: str) -> None:
    lines = ["email|name|note", 'a@b.example|"Kim, Park; Co"|1,50', "b@b.example||2,50"]
    table = table_of(tmp_path, "\n".join(line.replace("|", delimiter) for line in lines).encode())
    if delimiter != ",":
        assert (table.delimiter, list(table.header)) == (delimiter, ["email", "name", "note"])
        assert [row[0] for row in rows_of(table)] == [2, 3]


def test_one_column_is_a_file_too(tmp_path: Path) -> None:
    assert rows_of(table_of(tmp_path, b"email\na@b.example\n")) == [[2, "a@b.example"]]


def test_the_line_that_names_the_delimiter_is_skipped(tmp_path: Path) -> None:
    table = table_of(tmp_path, b"sep=;\r\nemail;a\r\nx@y.example;1,5\r\n")
    assert (table.delimiter, table.header_line, rows_of(table)) == (";", 2, [[3, "x@y.example", "1,5"]])


def test_titles_may_stand_above_the_header(tmp_path: Path) -> None:
    table = table_of(tmp_path, "Kundenliste Mai;;\n;;\nE-Mail;Name;Ort\na@b.example;Ann;Köln\n".encode())
    assert (table.delimiter, list(table.header), rows_of(table)) == (
        ";", ["E-Mail", "Name", "Ort"], [[4, "a@b.example", "Ann", "Köln"]],
    )  # fmt: skip
    assert table.notes == ["the columns are named in line 3; what stands above it was left out"]
    # A row of several cells is the header, whatever stands in the rows after it.
    assert table_of(tmp_path, b"sku,notify\na,email\n").header_line == 1


def test_doubled_and_missing_names_of_columns(tmp_path: Path) -> None:
    table = table_of(tmp_path, b"email,note,note,\nx@y.example,1,2,3\n")
    assert list(table.header) == ["email", "note", "note_3", "column_4"]
    assert table.doubled == {"note"}


def test_a_quote_that_is_never_closed_costs_one_row(tmp_path: Path) -> None:
    content = b'email,note\na@b.example,"open\nb@b.example,2\nc@b.example,"x"y\nd@b.example,4\n'
    faults = {
        record.line: record.fault and record.fault.kind for record in table_of(tmp_path, content).records()
    }
    assert faults == {2: "bad_shape", 3: None, 4: "bad_shape", 5: None}


def test_rows_of_another_length_and_long_cells_are_faults(tmp_path: Path) -> None:
    content = (
        b"email,a\nx@y.example,1,50\nx@y.example\nx@y.example,1,,\nx@y.example,"
        + b"z" * (CELL_MAX + 1)
        + b"\n,\n"
    )
    faults = [record.fault and record.fault.kind for record in table_of(tmp_path, content).records()]
    assert faults == ["bad_shape", "bad_shape", None, "too_long"]
    (endless,) = table_of(tmp_path, b"email,a\nx@y.example," + b"z" * (5 * CELL_MAX) + b"\n").records()
    assert endless.fault is not None
    assert endless.fault.kind == "too_long"


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (bytes.fromhex("d0cf11e0a1b11ae1"), "old.xls", "save it as .xlsx"),
        (b"\x1f\x8b\x08", "list.csv.gz", "unpack"),
        (b"", "empty.csv", "empty"),
        (b"PK\x03\x04", "broken.xlsx", "damaged"),
    ],
)
def test_a_file_that_is_not_read_says_what_to_do(
    tmp_path: Path, content: bytes, name: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        table_of(tmp_path, content, name)
    with pytest.raises(InputError, match="does not exist"):
        open_table(tmp_path / "nothing.csv")


def test_a_workbook_as_people_keep_it() -> None:
    table = open_table(EXPORTS / "excel_de_kunden.xlsx")
    records = list(table.records())
    first = records[0].cells
    assert table.sheet == "Kunden"
    assert (first["Kundennr."], first["PLZ"], first["Umsatz"]) == (1001, "01067", 1234.5)
    assert first["Anmeldung am"] == datetime(2024, 1, 15, 9, 30)  # noqa: DTZ001 - as the workbook has it
    assert records[4].cells["Umsatz"] == CellError("#DIV/0!")
    assert [record.line for record in records] == [*range(2, 14), 41]


def test_a_sheet_is_chosen_by_its_columns_or_by_name(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    book = Workbook()
    book.active.title = "Notes"
    book.active.append(["read me"])
    book.create_sheet("People").append(["Kontakt", "Name"])
    book.save(path)
    with pytest.raises(InputError, match="Notes, People"):
        open_table(path)
    assert open_table(path, TableOptions(columns=frozenset({"kontakt"}))).sheet == "People"
    assert open_table(path, TableOptions(sheet="Notes")).sheet == "Notes"
    with pytest.raises(InputError, match="--sheet Nope"):
        open_table(path, TableOptions(sheet="Nope"))


def test_an_archive_that_is_no_workbook_or_declares_entities_is_refused(tmp_path: Path) -> None:
    for name, part, words in (
        ("a.zip", "members.csv", "unpack"),
        ("b.xlsx", "[Content_Types].xml", "too much"),
    ):
        with ZipFile(tmp_path / name, "w", ZIP_DEFLATED) as archive:
            archive.writestr(part, '<!DOCTYPE x [<!ENTITY a "aaaa">]><x/>')
        with pytest.raises(InputError, match=words):
            open_table(tmp_path / name)


def test_json_lines_as_objects(tmp_path: Path) -> None:
    content = b'{"email": "a@b.example", "n": 1, "x": null}\n\n[1]\n{"broken\n'
    table = table_of(tmp_path, content, "list.jsonl")
    assert [(record.line, dict(record.cells), record.fault is None) for record in table.records()] == [
        (1, {"email": "a@b.example", "n": 1}, True), (3, {}, False), (4, {}, False),
    ]  # fmt: skip


def test_telephone_numbers() -> None:
    assert read_phone("+49 30 5550 1001", None) == "+493055501001"
    assert read_phone("030/5550142", "DE") == "+49305550142"
    assert read_phone("491715550101", "DE") == "+491715550101"
    assert read_phone("030/5550142", None) is None
    assert [read_phone(text, "DE") for text in ("4,93055E+11", "abc", "12", "0171/555 01")] == [None] * 4


#: Cells with everything that a delimiter, a quote and a line break can do.
CELLS = st.text(st.sampled_from("ab,;\t|\"'\n\r üÜ€"), max_size=8)


@given(
    st.lists(st.tuples(CELLS, CELLS), max_size=12),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["utf-8", "utf-16"]),
)
def test_the_file_of_a_program_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], delimiter: str, encoding: str
) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter)
    writer.writerow(["email", "note"])
    writer.writerows(rows)
    table = table_of(tmp_path_factory.getbasetemp(), stream.getvalue().encode(encoding), delimiter=delimiter)
    kept = [row for row in rows if any(cell and not cell.isspace() for cell in row)]
    assert [list(record.raw) for record in table.records()] == [list(row) for row in kept]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    try:
        table = table_of(tmp_path_factory.getbasetemp(), b"email,note\n" + content)
        records = list(table.records())
    except InputError:
        return
    assert all(record.fault is not None or len(record.cells) <= len(table.header) for record in records)
    assert detect_encoding(table.path).removesuffix("-sig") == table.encoding
