"""The local mailbox: what is sent is on the disk, and any mail program reads it."""

import mailbox
from pathlib import Path

import pytest

from nurture.domain.errors import SettingsError
from nurture.transports.maildir import MaildirTransport
from nurture.transports.registry import open_lanes, open_transport
from nurture.transports.smtp.pool import SmtpTransport
from tests.transports.mails import DATA, a_mail, make_mails


def test_mails_are_read_back_by_the_standard_library(tmp_path: Path) -> None:
    transport = open_transport(f"maildir:{tmp_path}/box")
    assert [outcome.outcome for outcome in transport.send(make_mails(40))] == ["sent"] * 40
    box = mailbox.Maildir(tmp_path / "box", create=False)
    assert len(box) == 40
    assert {message["Subject"] for message in box} == {"hi"}
    assert {box.get_bytes(key) for key in box.keys()} == {DATA.replace(b"\r\n", b"\n")}  # noqa: SIM118
    assert list((tmp_path / "box" / "tmp").iterdir()) == []


def test_attempts_of_one_message_lie_side_by_side(tmp_path: Path) -> None:
    transport = MaildirTransport(tmp_path)
    assert [outcome.outcome for outcome in transport.send([a_mail(7)])] == ["sent"]
    assert [outcome.outcome for outcome in transport.send([a_mail(7)])] == ["sent"]
    assert len(list((tmp_path / "new").iterdir())) == 2


def test_a_mailbox_that_cannot_be_written_is_a_retry(tmp_path: Path) -> None:
    transport = MaildirTransport(tmp_path)
    (tmp_path / "tmp").rmdir()
    outcomes = list(transport.send(make_mails(2)))
    assert [(outcome.outcome, outcome.suppress) for outcome in outcomes] == [("retry", False)] * 2
    assert "No such file" in outcomes[0].reply
    assert list((tmp_path / "new").iterdir()) == []


def test_a_mail_that_could_not_be_delivered_leaves_no_file(tmp_path: Path) -> None:
    transport = MaildirTransport(tmp_path)
    (tmp_path / "new").rmdir()
    assert [outcome.outcome for outcome in transport.send(make_mails(2))] == ["retry"] * 2
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_mail_that_was_renamed_but_not_forced_to_the_disk_is_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(folder: Path) -> None:
        raise OSError(f"disk of {folder} gone")

    transport = MaildirTransport(tmp_path)
    monkeypatch.setattr("nurture.transports.maildir.force_folder", broken)
    assert [outcome.outcome for outcome in transport.send(make_mails(2))] == ["in_doubt"] * 2


def test_the_url_chooses_the_transport(tmp_path: Path) -> None:
    assert isinstance(open_transport(f"maildir:{tmp_path}"), MaildirTransport)
    assert isinstance(open_transport("smtp://127.0.0.1:25"), SmtpTransport)
    for url in ("", "maildir:", "ftp://x", "mailbox", "smtp:"):
        with pytest.raises(SettingsError, match="MAIL_URL"):
            open_transport(url)


def test_one_url_is_the_lane_main() -> None:
    assert open_lanes("maildir:mailbox") == {"main": "maildir:mailbox"}
    assert open_lanes("smtp://x?tls=none") == {"main": "smtp://x?tls=none"}


def test_several_lanes_are_named() -> None:
    lanes = open_lanes("main=smtp://a?tls=none  bulk=smtps://u:p=w@b?connections=4")
    assert lanes == {"main": "smtp://a?tls=none", "bulk": "smtps://u:p=w@b?connections=4"}


@pytest.mark.parametrize("url", ["bulk=smtp://a", "main=smtp://a main=smtp://b", "smtp://a smtp://b", ""])
def test_lanes_that_make_no_sense_are_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="main"):
        open_lanes(url)
