"""Tests of a programme: people, what they do, and the mails that come of it, on virtual time and without a server.

`nurture test` plays the timelines of a programme's folder `tests/` and runs its pytest files, which use this:

    def test_a_cart(programme):
        anna = programme.person("anna@example.com", consent=["reminders"])
        anna.does("Product Added", cart_id="c1", product_id="grinder", name="Grinder", price=89)
        programme.advance("2 hours")
        assert anna.mailbox[0].name == "lead/any/abandoned_cart/left"

The fixtures stand in `nurture.testing.plugin`.
"""

from nurture.testing.mails import Mail
from nurture.testing.person import Person
from nurture.testing.programme import TestProgramme

__all__ = ["Mail", "Person", "TestProgramme"]
