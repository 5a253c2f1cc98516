"""Import files: events, contacts, objects and suppressions, as other tools write them.

`plan` gives each column a meaning (by `--map`, by a preset of a tool, or by its own name), `profile` looks at all cells
once, `rows` and `orders` read records as events, consents and suppressions, `store` writes them in batches, `run` does
all of it and counts.
"""

from nurture.app.importing.options import ImportOptions, read_map
from nurture.app.importing.run import import_file, read_events
from nurture.app.importing.summary import ImportResult

__all__ = ["ImportOptions", "ImportResult", "import_file", "read_events", "read_map"]
