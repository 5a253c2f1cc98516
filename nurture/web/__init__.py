"""HTTP: the ingestion API, the public pages behind the links of a mail, operations, and the console.

Requests enter; events leave for the inbox, consents and suppressions are written in the request's own
transaction, pages come back. Nothing here decides about people.
"""

from nurture.web.application import create_app
from nurture.web.server import make_server

__all__ = ["create_app", "make_server"]
