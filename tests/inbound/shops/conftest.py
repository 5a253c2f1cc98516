"""One live server for the HTTP tests of shops."""

from tests.web.conftest import stage

__all__ = ["stage"]
