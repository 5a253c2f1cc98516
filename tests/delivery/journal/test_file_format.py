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
    Passed,
    boot_id,
    latest,
    line,
    names,
    parts,
    read,
    seized,
    sweep,
)
from nurture.delivery.journal.writer import Journal, TooLateError, require_folder
from nurture.domain.errors import SettingsError, Transient
from nurture.transports.types import OutgoingMail
from tests.architecture.sources import ROOT

NOW = 1_760_000_000_000_000


def a_journal(folder: Path, **changes: float) -> Journal:
    return Journal(folder, database="one", now=NOW, fence=changes.get("fence", 60.0))


def a_letter(number: int, attempt: int = 1) -> OutgoingMail:
    return OutgoingMail(number, attempt, "shop@x.test", "a@x.test", b"")


def passed(*numbers: int) -> list[Passed]:
    return [
        Passed(number, 1, number + 100, NOW - number, number % 2 == 0, f"{number:024x}") for number in numbers
    ]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.passed("main", 1, passed(1, 2, 3), at=NOW + 5)
    journal.note(a_letter(1), "dot", "")
    journal.note(a_letter(2), "dot", "")
    journal.note(a_letter(2), "replied", "250 2.0.0")
    told = read(parts(tmp_path, journal.name))
    assert (told.name, told.database, told.boot, told.opened_at) == (journal.name, "one", boot_id(), NOW)
    assert (told.windows, told.broken) == (1, 0)
    assert [entry.passed for entry in told.entries.values()] == passed(1, 2, 3)
    assert {key: (entry.begun, entry.reply, entry.at) for key, entry in told.entries.items()} == {
        (1, 1): (True, None, NOW + 5),
        (2, 1): (True, "250 2.0.0", NOW + 5),
        (3, 1): (False, None, NOW + 5),
    }
    journal.close()
    assert names(tmp_path) == [journal.name]


@pytest.mark.parametrize("cut", [1, 8, 20])
def test_a_last_line_half_written_is_none(tmp_path: Path, cut: int) -> None:
    journal = a_journal(tmp_path)
    journal.passed("main", 1, passed(1), at=NOW)
    journal.note(a_letter(1), "dot", "")
    journal.note(a_letter(1), "replied", "250 2.0.0")
    journal.close()
    (path,) = parts(tmp_path, journal.name)
    path.write_bytes(path.read_bytes()[:-cut])
    told = read([path])
    assert told.entries[1, 1].reply is None
    assert told.entries[1, 1].begun
    assert told.broken == 0


def test_a_line_that_does_not_add_up_is_passed_over_and_counted(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.passed("main", 1, passed(1, 2), at=NOW)
    for number in (1, 2):
        journal.note(a_letter(number), "dot", "")
    journal.close()
    (path,) = parts(tmp_path, journal.name)
    path.write_bytes(
        path.read_bytes().replace(b"d 1 1", b"d 9 1") + b"\xff\xfe\n" + line("d", 77, 1) + line("z", 1)
    )
    told = read([path])
    assert told.broken == 4
    assert {key: entry.begun for key, entry in told.entries.items()} == {(1, 1): False, (2, 1): True}


def test_no_address_is_kept_of_what_servers_say(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.passed("main", 1, passed(1), at=NOW)
    journal.note(a_letter(1), "dot", "")
    journal.note(a_letter(1), "replied", "550 5.1.1 <Ada.Lovelace@example.com>: user unknown")
    journal.close()
    text = parts(tmp_path, journal.name)[0].read_text()
    assert "ovelace" not in text
    assert "550 5.1.1 <<address>>: user unknown" in text


def test_the_lock_tells_a_living_sender_from_a_dead_one(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    with seized(tmp_path, journal.name) as is_gone:
        assert not is_gone
    journal.close()
    with seized(tmp_path, journal.name) as is_gone:
        assert is_gone
        with seized(tmp_path, journal.name) as again:
            assert not again
    with seized(tmp_path, "nobody.00000000.1") as is_gone:
        assert not is_gone


_PARENT = """
import os, subprocess, sys, time
from pathlib import Path
from nurture.mail.journal import Journal
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
            with seized(tmp_path, name) as is_gone:
                assert not is_gone
            parent.kill()
            parent.wait(10)
            for child in children:
                held = [str(entry.readlink()) for entry in Path(f"/proc/{child}/fd").iterdir()]
                assert not [file for file in held if str(tmp_path) in file]
            with seized(tmp_path, name) as is_gone:
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
            journal.passed("main", 1, passed(1), at=NOW)
        except Transient as error:
            os.write(writing_end, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing_end)
    assert b"is closed; it belongs to process" in os.read(reading, 1000)
    os.close(reading)
    journal.passed("main", 1, passed(1), at=NOW)
    journal.close()
    assert read(parts(tmp_path, journal.name)).windows == 1


def test_a_full_part_is_followed_by_another_that_knows_what_is_in_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "PART_BYTES", 500)
    journal = a_journal(tmp_path)
    journal.passed("main", 1, passed(*range(10)), at=NOW)
    journal.note(a_letter(1), "dot", "")
    journal.note(a_letter(2), "dot", "")
    journal.note(a_letter(2), "replied", "250")
    journal.settled([(3, 1)])
    journal.passed("main", 2, passed(20), at=NOW + 1)
    first, second = parts(tmp_path, journal.name)
    told = read([second])
    assert told.name == journal.name
    assert told.windows == 2
    assert set(told.entries) == {(number, 1) for number in (0, 1, 2, 4, 5, 6, 7, 8, 9, 20)}
    assert (told.entries[1, 1].begun, told.entries[1, 1].reply) == (True, None)
    assert told.entries[2, 1].reply == "250"
    assert read([first]).entries[3, 1].passed.message_id == 3
    # The lock is one for all parts.
    with seized(tmp_path, journal.name) as is_gone:
        assert not is_gone
    journal.close()


@pytest.mark.parametrize("lines_left", [1, 2, 3, 4])
def test_killed_while_it_begins_another_part_it_forgets_no_dot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines_left: int
) -> None:
    monkeypatch.setattr(writing, "PART_BYTES", 100)
    journal = a_journal(tmp_path)
    journal.passed("main", 1, passed(1), at=NOW)
    journal.note(a_letter(1), "dot", "")
    journal.passed("main", 2, passed(2), at=NOW)
    journal.close()
    _, second = parts(tmp_path, journal.name)
    second.write_bytes(b"".join(second.read_bytes().splitlines(keepends=True)[:lines_left]))
    told = read(latest(tmp_path, journal.name))
    assert told.entries[1, 1].begun
    assert told.windows == 1
    assert told.broken == 0


def test_a_disk_that_is_full_lets_no_dot_out_and_spoils_no_line(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.passed("main", 1, passed(1, 2), at=NOW)
    whole, limited = journal._file, os.open("/dev/full", os.O_WRONLY)
    journal._file = limited
    with pytest.raises(Transient, match=r"NURTURE_JOURNAL: .*No space left on device.* make room"):
        journal.note(a_letter(1), "dot", "")
    with pytest.raises(Transient):
        journal.passed("main", 2, passed(3), at=NOW)
    # A reply is heard all the same; the database is told of it.
    journal.note(a_letter(2), "replied", "250")
    assert journal.in_flight("main")[2, 1].reply == "250"
    journal._file = whole
    os.close(limited)
    # Half of a line was written before the disk was full.
    os.write(whole, b"d 1")
    journal._torn = True
    journal.note(a_letter(2), "dot", "")
    journal.close()
    told = read(parts(tmp_path, journal.name))
    assert (told.entries[1, 1].begun, told.entries[2, 1].begun) == (False, True)


def test_long_after_its_gate_no_dot_is_written(tmp_path: Path) -> None:
    journal = a_journal(tmp_path, fence=-1.0)
    journal.passed("main", 1, passed(1), at=NOW)
    with pytest.raises(TooLateError, match="too long after the wire gate"):
        journal.note(a_letter(1), "dot", "")
    journal.close()
    assert not read(parts(tmp_path, journal.name)).entries[1, 1].begun


def test_a_folder_that_takes_no_journal_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for make in (require_folder, a_journal):
        with pytest.raises(SettingsError) as refused:
            make(tmp_path / "file" / "journal")
        said = str(refused.value)
        assert said.startswith(f"NURTURE_JOURNAL: {tmp_path}/file/journal: ")
        assert "set NURTURE_JOURNAL to another folder" in said
        assert "\n" not in said


def test_what_was_written_is_on_the_disk_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", forced.append)
    journal = a_journal(tmp_path)
    forced.clear()
    seconds = [10.0]
    monkeypatch.setattr(writing, "monotonic", lambda: seconds[0])
    journal.passed("main", 1, passed(1), at=NOW)
    journal.passed("main", 2, passed(2), at=NOW)
    assert forced == []
    seconds[0] += writing.SYNC_SECONDS
    journal.passed("main", 3, passed(3), at=NOW)
    assert len(forced) == 1
    journal.note(a_letter(3), "dot", "")
    journal.sync()
    assert len(forced) == 2
    journal.sync()
    assert len(forced) == 2
    journal.close()


def test_finished_files_go_when_they_are_old_or_too_many(tmp_path: Path) -> None:
    old, young, unread, mine = (a_journal(tmp_path) for _ in range(4))
    for place, journal in enumerate((old, young, unread, mine)):
        journal.passed("main", 1, passed(1), at=NOW)
        os.utime(parts(tmp_path, journal.name)[0], (1000 + place, 1000 + place))
    for journal in (old, young, unread):
        journal.close()
    finished = {old.name, young.name}
    assert sweep(tmp_path, finished, own=mine.name, before=1001) == 1
    assert set(names(tmp_path)) == {young.name, unread.name, mine.name}
    assert not (tmp_path / f"{old.name}.lock").exists()
    assert sweep(tmp_path, finished, own=mine.name, before=0) == 0
    assert sweep(tmp_path, finished, own=mine.name, before=0, bytes_max=10) == 1
    # Nobody has read the one, and the other is being written.
    assert set(names(tmp_path)) == {unread.name, mine.name}
    mine.close()


def test_a_record_is_closed_by_its_check() -> None:
    assert line("d", 7, 1) == b"d 7 1 %08x\n" % crc32(b"d 7 1")
