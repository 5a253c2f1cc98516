"""`nurture preview` and `send --test` show the folder being edited, without a database and without publishing."""

import json
import mailbox
import os
import re
import shutil
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from tests.cli.shell import SHIPPED, Shell

WELCOME = "lead/any/welcome_series"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a copy of the shipped programme, with a fault in a measure that is not looked at."""
    copy = tmp_path / "programme"
    shutil.copytree(SHIPPED, copy)
    (copy / "customer/any/birthday/wishes.en.txt").write_text("{{ nothing.like.it }}", "utf-8")
    return copy


def shown(nurture: Shell, *words: str) -> dict[str, str]:
    done = nurture("preview", *words, "--json")
    assert done.code == 0, done.err
    document: dict[str, str] = done.document
    return document


def test_a_mail_of_a_folder_is_shown_as_it_is_written_now(nurture: Shell, folder: Path) -> None:
    words = (f"{WELCOME}/guide", "--playbook", str(folder))
    assert "Hi Anna" in shown(nurture, *words)["text"]
    office = shown(nurture, *words, "--persona", "office")
    assert "Hi Li Wei" in office["text"]
    assert office["text"] != shown(nurture, *words, "--persona", "cafe")["text"]
    assert "Hi Li Wei" in shown(nurture, *words, "--sample-name", "office")["text"]
    assert "Hi Anna" in shown(nurture, *words, "--persona", "home")["text"]

    mail = folder / WELCOME / "guide.en.txt"
    mail.write_text(
        mail.read_text("utf-8").replace("change the grind first", "change the water first"), "utf-8"
    )
    assert "change the water first" in shown(nurture, *words)["text"]
    assert not Path("nurture.db").exists()


def test_the_programmes_pictures_are_in_the_page(nurture: Shell) -> None:
    html = shown(nurture, f"{WELCOME}/guide", "--playbook", str(SHIPPED))["html"]
    assert 'src="data:image/png;base64,' in html
    assert not re.search(r"https://[^\"]*/a/[0-9a-f]{16}", html), "no server is there to show one"


def test_a_variant_and_a_language_can_be_chosen(nurture: Shell, folder: Path) -> None:
    words = ("lead/any/abandoned_cart", "--playbook", str(folder))
    goods, question = shown(nurture, *words), shown(nurture, *words, "--variant", "question")
    assert (goods["variant"], question["variant"]) == ("goods", "question")
    assert goods["subject"] != question["subject"]
    assert shown(nurture, *words, "--locale", "zh-CN")["locale"] == "zh-CN"
    german = nurture("preview", *words, "--locale", "de")
    assert "no mail in de: people there get the one in en" in german.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--variant", "answers"), "has no variant 'answers'; it has goods, question"),
        (("--persona", "ofice"), "no persona 'ofice': did you mean office?"),
        (("--sample-name", "office"), "no sample 'office': known are none"),
    ],
)
def test_a_choice_that_there_is_not_is_named(
    nurture: Shell, folder: Path, words: tuple[str, ...], message: str
) -> None:
    done = nurture("preview", "lead/any/abandoned_cart", "--playbook", str(folder), *words)
    assert done.code == 2
    assert message in done.line()


def test_a_test_mail_leaves_from_a_folder_without_a_database(
    nurture: Shell, folder: Path, tmp_path: Path
) -> None:
    nurture.set("MAIL_URL", f"maildir:{tmp_path / 'box'}")
    words = (
        "send",
        f"{WELCOME}/guide",
        "--playbook",
        str(folder),
        "--persona",
        "office",
        "--locale",
        "zh-CN",
    )
    done = nurture(*words, "--test", "me@example.com")
    assert done.code == 0, done.err
    [kept] = mailbox.Maildir(tmp_path / "box", create=False)
    mail = message_from_bytes(kept.as_bytes(), policy=policy.default)
    assert mail["To"] == "me@example.com"
    assert mail["Subject"].startswith("[test] ")
    assert mail["List-Unsubscribe"] is None
    refused = nurture(*words, "--to", "anna@example.com")
    assert "belong to --test ADDRESS" in refused.line()


def test_every_sample_of_a_measure_is_checked(nurture: Shell, folder: Path) -> None:
    shutil.copy(
        SHIPPED / "customer/any/birthday/wishes.en.txt", folder / "customer/any/birthday/wishes.en.txt"
    )
    sample = folder / "customer/any/second_order_coupon/sample.late.json"
    sample.write_text(json.dumps({"contact": {"first_nam": "Anna"}, "let": {"deadline": "someday"}}), "utf-8")
    done = nurture("playbook", "check", str(folder))
    assert done.code == 1
    assert "customer/any/second_order_coupon/sample.late.json:1: no fact `first_nam`" in done.out
    assert "(with sample.late.json)" in done.out


def test_a_picture_needs_chromium(nurture: Shell, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    done = nurture("preview", WELCOME, "--playbook", str(folder), "--png", "mail.png")
    assert done.code == 2
    assert "--png needs Chromium" in done.line()
