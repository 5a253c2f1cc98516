"""Files that go out or come in as a table: exports, suppressions of other tools, an experiment's rows."""
