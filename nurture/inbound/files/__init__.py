"""Read files that other tools wrote: CSV in any common form, Excel workbooks, JSON lines.

`open_table` recognises the form of a file and gives its records one by one, in bounded memory.
"""

from nurture.inbound.files.open import open_table
from nurture.inbound.files.table import Record, Table, TableOptions

__all__ = ["Record", "Table", "TableOptions", "open_table"]
