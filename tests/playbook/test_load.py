"""Reading a playbook's folder from disk, and its limits."""

from base64 import b64encode
from pathlib import Path

import pytest

from nurture.domain.errors import PlaybookError
from nurture.playbook import build, inspect, load, load_files
from nurture.playbook.load import FILE_BYTES_MAX
from tests.playbook.builder import a_playbook, changed

GUIDE = "lead/aware/guide/guide.en.mjml"


def write(root: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, "utf-8")
    return root


def test_a_folder_reads_as_its_files(tmp_path: Path) -> None:
    assert load_files(write(tmp_path, a_playbook())) == a_playbook()


def test_line_ends_and_byte_order_marks_mean_nothing(tmp_path: Path) -> None:
    (tmp_path / "playbook.yaml").write_bytes("\ufeffname: a\r\nlocales: [en]\r\n".encode())
    assert load_files(tmp_path) == {"playbook.yaml": "name: a\nlocales: [en]\n"}


def test_pictures_hidden_files_and_links_are_left_out(tmp_path: Path) -> None:
    write(
        tmp_path, {"playbook.yaml": "", "logo.png": "", ".git/x.yaml": "", ".env.yaml": "", "README.md": ""}
    )
    (tmp_path / "secret.txt").symlink_to("/etc/hostname")
    assert list(load_files(tmp_path)) == ["playbook.yaml"]


def test_all_unreadable_files_are_named_at_once(tmp_path: Path) -> None:
    write(tmp_path, {"playbook.yaml": "x", "b.txt": "a\n\0", "c.txt": "y" * (FILE_BYTES_MAX + 1)})
    write(tmp_path, {"1/2/3/4/5/deep.txt": ""})
    (tmp_path / "a.txt").write_bytes(b"one\ntwo \xff")
    with pytest.raises(PlaybookError) as caught:
        load_files(tmp_path)
    assert list(caught.value.faults) == [
        "1/2/3/4/5:1: too deep: see docs/playbook.md",
        "a.txt:2: not UTF-8: save the file as UTF-8",
        "b.txt:2: a NUL character: remove it",
        f"c.txt:1: {FILE_BYTES_MAX + 1} bytes: keep each file under {FILE_BYTES_MAX}",
    ]


def test_a_wrong_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PlaybookError, match="there is no such folder"):
        load_files(tmp_path / "nowhere")
    monkeypatch.setattr(load, "FILES_MAX", 3)
    for number in range(4):
        (tmp_path / f"{number}.txt").write_text("")
    with pytest.raises(PlaybookError, match="too many or too large files"):
        load_files(tmp_path)


def test_a_picture_of_a_folder_is_shown_by_its_mails(tmp_path: Path) -> None:
    data = b"\x89PNG\r\n\x1a\n" + bytes(30)
    files = changed(GUIDE, "<mj-text>", '<mj-image alt="" src="{{ links.image_mark }}" /><mj-text>')
    write(tmp_path, {**files, "_layout/images/mark.png.b64": b64encode(data).decode()})
    loaded = build(load_files(tmp_path))
    assert loaded.templates.images["mark"].data == data


def test_a_picture_that_nothing_shows_is_named(tmp_path: Path) -> None:
    picture = b64encode(b"\x89PNG\r\n\x1a\n").decode()
    shown = changed(GUIDE, "<mj-text>", '<mj-image alt="" src="{{ links.image_mark }}" /><mj-text>')
    found = inspect(
        {**shown, **{f"_layout/images/{name}.png.b64": picture for name in ("mark", "mark2")}}, render=False
    )
    assert [str(warning) for warning in found.warnings if "picture" in warning.what] == [
        "_layout/images/mark2.png.b64:1: warning: nothing shows this picture: "
        "write {{ links.image_mark2 }} in a mail, or remove the file"
    ]
