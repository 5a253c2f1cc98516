"""Every mail, in every language, is word for word the one that was reviewed.

After a change that is meant: `python -m tests.programme.reviewed` writes the files anew; read their difference.
"""

import pytest

from tests.programme.reviewed import GOLDEN, expected
from tests.programme.samples import Mail, mails


@pytest.mark.parametrize("mail", mails(), ids=str)
def test_a_mail_is_the_one_that_was_reviewed(mail: Mail) -> None:
    for path, text in expected(mail).items():
        assert path.read_text("utf-8") == text, f"{path.name} differs; see the top of this file"


def test_there_is_a_reviewed_file_for_nothing_else() -> None:
    assert {path for path in GOLDEN.rglob("*.*") if path.is_file()} == {
        path for mail in mails() for path in expected(mail)
    }
