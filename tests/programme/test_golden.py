"""Every mail, in every language, is word for word the one that was reviewed, with the template cache on and off.

After an intended change `python -m tests.programme.reviewed` writes the files again; read their difference.
"""

import pytest

from nurture.rendering.render import render
from tests.programme.reviewed import FRAME, GOLDEN, expected, read_reviewed
from tests.programme.samples import Mail, context_of, mails, parts_by, templates


@pytest.mark.parametrize("template_cache", ["on", "off"])
@pytest.mark.parametrize("mail", mails(), ids=str)
def test_a_mail_is_the_one_that_was_reviewed(mail: Mail, template_cache: str) -> None:
    for path, text in expected(mail, parts_by(mail, template_cache)).items():
        assert read_reviewed(path) == text, f"{path.name} differs; see the top of this file"


@pytest.mark.parametrize("mail", mails(), ids=str)
def test_the_cache_changes_no_byte_of_a_mail(mail: Mail) -> None:
    parts_by(mail, "on")
    context = context_of(mail)
    assert render(templates("on"), context) == render(templates("off"), context)


def test_there_is_a_reviewed_file_for_nothing_else() -> None:
    assert {path for path in GOLDEN.rglob("*.*") if path.is_file()} == {FRAME} | {
        path for mail in mails() for path in expected(mail)
    }
