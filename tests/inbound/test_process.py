"""`nurture inbound` as a process: it says what is missing, takes mail, and stops when it is told to."""

import os
import re
import signal
import smtplib
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from nurture.app.doctor import examine
from nurture.app.installation import migrate
from nurture.database import schema as t
from nurture.runtime.settings import load_settings
from tests.inbound.mails import an_answer
from tests.inbound.office import BOUNCES, HUMAN, Office
from tests.inbound.test_replies import ordered
from tests.rig import warm
from tests.rig.databases import opened

SHIPPED = Path(__file__).parents[2] / "email_templates"
SECRET = "a-secret-for-the-tests-of-delivery"


def environment(**settings: str) -> dict[str, str]:
    given = {"PLAYBOOK": str(SHIPPED), "SECRET_KEY": SECRET, "SUPPRESSION_KEY": SECRET, **settings}
    return {"PATH": os.defpath} | {f"NURTURE_{name}": value for name, value in given.items()}


#: Loaded before the command starts; in the other test it imports for itself.
IMPORTS = ["nurture.cli", "nurture.app.installation", "nurture.app.inbound", "nurture.web.inbound_smtp"]


def run(*words: str, folder: Path, **settings: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "nurture.cli", *words],
        cwd=folder,
        env=environment(**settings),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def folder(sqlite_url: str, tmp_path: Path) -> Path:
    settings = load_settings(folder=tmp_path, environment=environment(DATABASE_URL=sqlite_url))
    migrate(settings).close()
    return tmp_path


def test_it_says_what_is_missing(folder: Path) -> None:
    with warm.start(
        ["nurture.cli", "inbound"],
        imports=IMPORTS,
        cwd=folder,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "NURTURE_REPLIES_TO is not set" in errors
    assert "NURTURE_BOUNCE_ADDRESS is not set" in errors
    assert "Traceback" not in errors


def test_it_takes_mail_and_stops(folder: Path) -> None:
    settings = {"BOUNCE_ADDRESS": BOUNCES, "REPLIES_TO": HUMAN}
    with run("inbound", "--lmtp", "", "--smtp", "127.0.0.1:0", folder=folder, **settings) as process:
        assert process.stderr is not None
        found = re.search(r"SMTP on 127\.0\.0\.1:(\d+)", process.stderr.readline())
        assert found is not None
        with smtplib.SMTP("127.0.0.1", int(found[1])) as client:
            client.sendmail("eve@elsewhere.example", ["hello@larkandkettle.example"], an_answer(about=None))
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                client.sendmail("eve@elsewhere.example", ["nobody@larkandkettle.example"], an_answer())
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    with opened(f"sqlite:///{folder}/nurture.db") as database, database.read() as connection:
        assert connection.scalars(sa.select(t.feedback.c.kind)).all() == ["reply"]
        assert connection.scalars(sa.select(t.notices.c.recipient)).all() == [HUMAN]


def test_the_doctor_names_answers_that_do_not_reach_our_people(office: Office) -> None:
    def found() -> str:
        return next(str(check["detail"]) for check in examine(office.services) if check["check"] == "answers")

    ordered(office)
    assert found() == ""
    with office.database.write() as connection:
        connection.execute(
            sa.insert(t.notices).values(
                {
                    "kind": "reply",
                    "dialogue_id": 7,
                    "sender": "a@b.example",
                    "recipient": HUMAN,
                    "data": "",
                    "due_at": office.clock.now(),
                    "attempts": 6,
                    "reply": "550 5.1.1 no such user",
                }
            )
        )
    assert "notice 1 of case R-7 has not left after 6 attempts: 550 5.1.1 no such user" in found()
