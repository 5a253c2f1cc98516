"""The journal's files: what is read back, who holds the lock, what happens when the disk says no."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from zlib import crc32

import pytest

from nurture.delivery.journal import writer as writing
from nurture.delivery.journal.file_format import (
    WindowMail,
    encode_record,
    list_latest_parts,
    list_parts,
    list_senders,
    read_boot_id,
    read_parts,
    remove_parts,
    try_lock,
)
from nurture.delivery.journal.writer import Journal, TooLateError, require_folder
from nurture.domain.errors import SettingsError, Transient
from nurture.transports.types import OutgoingMail
from tests.architecture.sources import ROOT

NOW = 1_760_000_000_000_000


def a_journal(folder: Path, **changes: float) -> Journal:
    return Journal(folder, database="one", now=NOW, fence=changes.get("fence", 60.0))


def a_mail(number: int, attempt: int = 1) -> OutgoingMail:
    return OutgoingMail(number, attempt, "shop@x.test", "a@x.test", b"")


def window_mails(*numbers: int) -> list[WindowMail]:
    return [
        WindowMail(number, 1, number + 100, NOW - number, number % 2 == 0, f"{number:024x}")
        for number in numbers
    ]


def test_records_are_read_back_as_written(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.record_window("main", 1, window_mails(1, 2, 3), at=NOW + 5)
    journal.record_stage(a_mail(1), "dot", "")
    journal.record_stage(a_mail(2), "dot", "")
    journal.record_stage(a_mail(2), "replied", "250 2.0.0")
    content = read_parts(list_parts(tmp_path, journal.name))
    assert (content.name, content.database, content.boot, content.opened_at) == (
        journal.name,
        "one",
        read_boot_id(),
        NOW,
    )
    assert (content.windows, content.broken) == (1, 0)
    assert [entry.mail for entry in content.entries.values()] == window_mails(1, 2, 3)
    assert {key: (entry.begun, entry.reply, entry.at) for key, entry in content.entries.items()} == {
        (1, 1): (True, None, NOW + 5),
        (2, 1): (True, "250 2.0.0", NOW + 5),
        (3, 1): (False, None, NOW + 5),
    }
    journal.close()
    assert list_senders(tmp_path) == [journal.name]


@pytest.mark.parametrize("cut", [1, 8, 20])
def test_a_last_line_half_written_is_none(tmp_path: Path, cut: int) -> None:
    journal = a_journal(tmp_path)
    journal.record_window("main", 1, window_mails(1), at=NOW)
    journal.record_stage(a_mail(1), "dot", "")
    journal.record_stage(a_mail(1), "replied", "250 2.0.0")
    journal.close()
    (path,) = list_parts(tmp_path, journal.name)
    path.write_bytes(path.read_bytes()[:-cut])
    content = read_parts([path])
    assert content.entries[1, 1].reply is None
    assert content.entries[1, 1].begun
    assert content.broken == 0


def test_a_line_that_does_not_add_up_is_passed_over_and_counted(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.record_window("main", 1, window_mails(1, 2), at=NOW)
    for number in (1, 2):
        journal.record_stage(a_mail(number), "dot", "")
    journal.close()
    (path,) = list_parts(tmp_path, journal.name)
    path.write_bytes(
        path.read_bytes().replace(b"d 1 1", b"d 9 1")
        + b"\xff\xfe\n"
        + encode_record("d", 77, 1)
        + encode_record("z", 1)
    )
    content = read_parts([path])
    assert content.broken == 4
    assert {key: entry.begun for key, entry in content.entries.items()} == {(1, 1): False, (2, 1): True}


def test_no_address_is_kept_of_what_servers_say(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.record_window("main", 1, window_mails(1), at=NOW)
    journal.record_stage(a_mail(1), "dot", "")
    journal.record_stage(a_mail(1), "replied", "550 5.1.1 <Ada.Lovelace@example.com>: user unknown")
    journal.close()
    text = list_parts(tmp_path, journal.name)[0].read_text()
    assert "ovelace" not in text
    assert "550 5.1.1 <<address>>: user unknown" in text


def test_the_lock_tells_a_living_sender_from_a_dead_one(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    with try_lock(tmp_path, journal.name) as is_gone:
        assert not is_gone
    journal.close()
    with try_lock(tmp_path, journal.name) as is_gone:
        assert is_gone
        with try_lock(tmp_path, journal.name) as again:
            assert not again
    with try_lock(tmp_path, "nobody.00000000.1") as is_gone:
        assert not is_gone


_PARENT = """
import os, subprocess, sys, time
from pathlib import Path
from nurture.delivery.journal.writer import Journal
journal = Journal(Path(sys.argv[1]), database="one", now=1, fence=60.0)
forked = os.fork()
if not forked:
    time.sleep(60)
program = subprocess.Popen(["sleep", "60"], close_fds=False)
print(journal.name, forked, program.pid, flush=True)
time.sleep(60)
"""


def test_a_child_inherits_neither_the_lock_nor_the_file(tmp_path: Path) -> None:
    words = [sys.executable, "-c", _PARENT, str(tmp_path)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        name, *children = parent.stdout.readline().split()
        try:
            with try_lock(tmp_path, name) as is_gone:
                assert not is_gone
            parent.kill()
            parent.wait(10)
            for child in children:
                held = [str(entry.readlink()) for entry in Path(f"/proc/{child}/fd").iterdir()]
                assert not [file for file in held if str(tmp_path) in file]
            with try_lock(tmp_path, name) as is_gone:
                assert is_gone
        finally:
            for child in children:
                os.kill(int(child), signal.SIGKILL)


def test_after_a_fork_the_child_cannot_write_into_it(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    reading, writing_end = os.pipe()
    child = os.fork()
    if not child:
        try:
            journal.record_window("main", 1, window_mails(1), at=NOW)
        except Transient as error:
            os.write(writing_end, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing_end)
    assert b"is closed; it belongs to process" in os.read(reading, 1000)
    os.close(reading)
    journal.record_window("main", 1, window_mails(1), at=NOW)
    journal.close()
    assert read_parts(list_parts(tmp_path, journal.name)).windows == 1


def test_a_full_part_is_followed_by_another_that_knows_what_is_in_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "PART_BYTES", 500)
    journal = a_journal(tmp_path)
    journal.record_window("main", 1, window_mails(*range(10)), at=NOW)
    journal.record_stage(a_mail(1), "dot", "")
    journal.record_stage(a_mail(2), "dot", "")
    journal.record_stage(a_mail(2), "replied", "250")
    journal.forget_attempts([(3, 1)])
    journal.record_window("main", 2, window_mails(20), at=NOW + 1)
    first, second = list_parts(tmp_path, journal.name)
    content = read_parts([second])
    assert content.name == journal.name
    assert content.windows == 2
    assert set(content.entries) == {(number, 1) for number in (0, 1, 2, 4, 5, 6, 7, 8, 9, 20)}
    assert (content.entries[1, 1].begun, content.entries[1, 1].reply) == (True, None)
    assert content.entries[2, 1].reply == "250"
    assert read_parts([first]).entries[3, 1].mail.message_id == 3
    # The lock is one for all parts.
    with try_lock(tmp_path, journal.name) as is_gone:
        assert not is_gone
    journal.close()


@pytest.mark.parametrize("lines_left", [1, 2, 3, 4])
def test_killed_while_it_begins_another_part_it_forgets_no_dot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines_left: int
) -> None:
    monkeypatch.setattr(writing, "PART_BYTES", 100)
    journal = a_journal(tmp_path)
    journal.record_window("main", 1, window_mails(1), at=NOW)
    journal.record_stage(a_mail(1), "dot", "")
    journal.record_window("main", 2, window_mails(2), at=NOW)
    journal.close()
    _, second = list_parts(tmp_path, journal.name)
    second.write_bytes(b"".join(second.read_bytes().splitlines(keepends=True)[:lines_left]))
    content = read_parts(list_latest_parts(tmp_path, journal.name))
    assert content.entries[1, 1].begun
    assert content.windows == 1
    assert content.broken == 0


def test_a_disk_that_is_full_lets_no_dot_out_and_spoils_no_line(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.record_window("main", 1, window_mails(1, 2), at=NOW)
    whole, limited = journal._file, os.open("/dev/full", os.O_WRONLY)
    journal._file = limited
    with pytest.raises(Transient, match=r"NURTURE_JOURNAL: .*No space left on device.* make room"):
        journal.record_stage(a_mail(1), "dot", "")
    with pytest.raises(Transient):
        journal.record_window("main", 2, window_mails(3), at=NOW)
    # A reply is heard all the same; the database is told of it.
    journal.record_stage(a_mail(2), "replied", "250")
    assert journal.in_flight("main")[2, 1].reply == "250"
    journal._file = whole
    os.close(limited)
    # Half of a line was written before the disk was full.
    os.write(whole, b"d 1")
    journal._torn = True
    journal.record_stage(a_mail(2), "dot", "")
    journal.close()
    content = read_parts(list_parts(tmp_path, journal.name))
    assert (content.entries[1, 1].begun, content.entries[2, 1].begun) == (False, True)


def test_long_after_its_gate_no_dot_is_written(tmp_path: Path) -> None:
    journal = a_journal(tmp_path, fence=-1.0)
    journal.record_window("main", 1, window_mails(1), at=NOW)
    with pytest.raises(TooLateError, match="too long after the send gate"):
        journal.record_stage(a_mail(1), "dot", "")
    journal.close()
    assert not read_parts(list_parts(tmp_path, journal.name)).entries[1, 1].begun


def test_a_folder_that_cannot_be_written_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for make in (require_folder, a_journal):
        with pytest.raises(SettingsError) as refused:
            make(tmp_path / "file" / "journal")
        message = str(refused.value)
        assert message.startswith(f"NURTURE_JOURNAL: {tmp_path}/file/journal: ")
        assert "set NURTURE_JOURNAL to another folder" in message
        assert "\n" not in message


def test_records_are_on_the_disk_within_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", forced.append)
    journal = a_journal(tmp_path)
    forced.clear()
    seconds = [10.0]
    monkeypatch.setattr(writing, "monotonic", lambda: seconds[0])
    journal.record_window("main", 1, window_mails(1), at=NOW)
    journal.record_window("main", 2, window_mails(2), at=NOW)
    assert forced == []
    seconds[0] += writing.SYNC_SECONDS
    journal.record_window("main", 3, window_mails(3), at=NOW)
    assert len(forced) == 1
    journal.record_stage(a_mail(3), "dot", "")
    journal.sync()
    assert len(forced) == 2
    journal.sync()
    assert len(forced) == 2
    journal.close()


def test_finished_files_go_when_they_are_old_or_too_many(tmp_path: Path) -> None:
    old, young, unread, mine = (a_journal(tmp_path) for _ in range(4))
    for place, journal in enumerate((old, young, unread, mine)):
        journal.record_window("main", 1, window_mails(1), at=NOW)
        os.utime(list_parts(tmp_path, journal.name)[0], (1000 + place, 1000 + place))
    for journal in (old, young, unread):
        journal.close()
    finished = {old.name, young.name}
    assert remove_parts(tmp_path, finished, own=mine.name, before=1001) == 1
    assert set(list_senders(tmp_path)) == {young.name, unread.name, mine.name}
    assert not (tmp_path / f"{old.name}.lock").exists()
    assert remove_parts(tmp_path, finished, own=mine.name, before=0) == 0
    assert remove_parts(tmp_path, finished, own=mine.name, before=0, bytes_max=10) == 1
    # Nobody has read the one, and the other is being written.
    assert set(list_senders(tmp_path)) == {unread.name, mine.name}
    mine.close()


def test_a_record_is_closed_by_its_check() -> None:
    assert encode_record("d", 7, 1) == b"d 7 1 %08x\n" % crc32(b"d 7 1")
