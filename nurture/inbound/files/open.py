"""Open a file by what its first bytes and its ending say it is."""

from pathlib import Path
from typing import Final

from nurture.domain.errors import InputError
from nurture.inbound.files.csv_records import open_csv
from nurture.inbound.files.json_records import open_json_lines
from nurture.inbound.files.table import FileForm, Table, TableOptions
from nurture.inbound.files.xlsx_records import open_xlsx

_ZIP: Final = b"PK"
#: Excel's form before 2007.
_OLD_EXCEL: Final = bytes.fromhex("d0cf11e0")
_COMPRESSED: Final = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!")
_ENDINGS: Final[dict[str, FileForm]] = {
    **dict.fromkeys((".csv", ".tsv", ".txt", ".tab"), "csv"),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl"),
    **dict.fromkeys((".xlsx", ".xlsm"), "xlsx"),
}


def open_table(path: Path, options: TableOptions | None = None) -> Table:
    """Open a file of records. Raises InputError for one that is missing, unreadable, or of a form that is not read."""
    options = options or TableOptions()
    try:
        if path.is_dir():
            raise InputError(f"{path}: this is a folder; name one file")
        with path.open("rb") as stream:
            start = stream.read(8)
        form = options.form or detect_form(path, start)
        if form == "xlsx":
            return open_xlsx(path, options)
        return open_json_lines(path, options) if form == "jsonl" else open_csv(path, options)
    except FileNotFoundError as error:
        raise InputError(f"{path}: the file does not exist") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def detect_form(path: Path, start: bytes) -> FileForm:
    """Return the form of a file. start: its first bytes. Raises InputError for a form that is not read."""
    if start.startswith(_OLD_EXCEL):
        raise InputError(f"{path}: this is an old Excel file (.xls); open it and save it as .xlsx")
    if start.startswith(_COMPRESSED):
        raise InputError(f"{path}: the file is packed; unpack it and import what is in it")
    if start.startswith(_ZIP):
        return "xlsx"
    name = path.name.removesuffix(".rejected")
    form = _ENDINGS.get(Path(name).suffix.lower())
    if form in ("jsonl", "csv"):
        return form
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    return "jsonl" if text.startswith(b"{") else "csv"
