"""The picture of a mail: its HTML part in Chromium, where that is installed, without a network."""

import html
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from nurture.domain.errors import InputError

_PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Any host leads nowhere, so that a preview tells nobody that it was looked at.
_OPTIONS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
_SECONDS: Final = 60
_HEIGHT_MAX: Final = 10_000
_MEASURED: Final = re.compile(r"<title>height (\d+)</title>")
_PAGE: Final = """<!doctype html><meta charset="utf-8"><title>no height</title>
<style>body{margin:0}iframe{border:0;width:100%%;height:200px;display:block}</style>
<iframe sandbox="allow-same-origin" srcdoc="%s"></iframe>
<script>addEventListener("load", () => {
  document.title = "height " + document.querySelector("iframe").contentDocument.documentElement.scrollHeight
})</script>"""


def write_png(text: str, path: Path, *, width: int = 640) -> None:
    """Write the picture of a mail's HTML, as high as the mail is.

    Raises InputError where Chromium is missing or draws nothing.
    """
    program = next((found for name in _PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        raise InputError("--png needs Chromium, which is not on the PATH; write --html and open it instead")
    with tempfile.TemporaryDirectory(prefix="nurture-png-") as folder:
        page, mail, profile = (Path(folder) / name for name in ("page.html", "mail.html", "profile"))
        page.write_text(_PAGE % html.escape(text), encoding="utf-8")
        mail.write_text(text, encoding="utf-8")
        options = [program, *_OPTIONS, f"--user-data-dir={profile}"]
        shown = _run([*options, f"--window-size={width},800", "--dump-dom", page.as_uri()])
        measured = _MEASURED.search(shown)
        height = min(int(measured[1]), _HEIGHT_MAX) if measured else 1_200
        target = Path(folder) / "mail.png"
        _run([*options, f"--window-size={width},{height}", f"--screenshot={target}", mail.as_uri()])
        if not target.exists():
            raise InputError("--png: Chromium drew nothing; write --html and open it instead")
        shutil.copyfile(target, path)


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the browser of this machine, with our own files
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"--png: {Path(command[0]).name} did not answer: {error}") from error
    return done.stdout
