"""Look at the public pages in a real browser, at 320 and 1280 px, in both languages, without JavaScript.

python docs/pictures.py [PAGE ...]    write docs/pictures/*.png (all pages, or these); exit code 1 for a fault

Needs `chromium` on the PATH. It is spoken to over a pipe (Chrome's DevTools protocol). Looked at: nothing scrolls
sideways, what is pressed is at least 40 px high and what is read at least 12 px, nothing is loaded from another
host, no policy is broken, and the form of the preference centre is sent and answered.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zlib
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from nurture.app.installation import open_services
from nurture.app.services import Services
from nurture.consent import record, request_queries
from nurture.contacts.queries import create_contacts
from nurture.database import migrations
from nurture.database.schema import contacts, identities
from nurture.domain.instant import DAY
from nurture.domain.playbook import Playbook
from nurture.domain.signing import sign_token
from nurture.playbook import load_files, publish
from nurture.runtime.clock import SystemClock, monotonic, pause
from nurture.runtime.settings import load_settings
from nurture.web import create_app, make_server

FOLDER = Path(__file__).parent / "pictures"
PROGRAMME = Path(__file__).parent.parent / "email_templates"
WIDTHS = (320, 1280)
LOCALES = ("en", "zh-CN")
#: Pages whose pictures are kept; the others are looked at and measured.
KEPT = ("preferences", "unsubscribe", "confirm", "survey")
_SECONDS_MAX = 20.0

#: Measured in the page: what is too wide, too low to press, or too small to read.
_FAULTS = """
(() => {
  const faults = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) faults.push(`scrolls sideways: ${root.scrollWidth} px`);
  for (const each of document.querySelectorAll('button, select, input:not([type=hidden]), .choice, .scores label')) {
    const box = each.getBoundingClientRect();
    const inside = each.closest('label.choice, .scores label');
    const name = `${each.tagName} ${each.name || each.className}`;
    if (!(inside && inside !== each) && box.height < 40) faults.push(`${name}: ${box.height} px high`);
    if (box.right > root.clientWidth + 0.5) faults.push(`${name}: cut off at the right`);
  }
  for (const each of document.querySelectorAll('p, small, span, legend, label, h1, a'))
    if (parseFloat(getComputedStyle(each).fontSize) < 12) faults.push(`${each.tagName}: small print`);
  for (const each of performance.getEntriesByType('resource'))
    if (new URL(each.name).host !== location.host && !each.name.startsWith('data:')) faults.push(`loads ${each.name}`);
  return faults;
})()
"""


class Browser:
    """A headless Chromium behind a pipe, with one page."""

    def __init__(self, folder: Path) -> None:
        """Start it with a new profile in the folder."""
        program = (
            shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        )
        if program is None:
            sys.exit("no chromium on the PATH; install it, or take the pictures on a machine that has one")
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        options = (
            "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
            f"--disable-sync --no-first-run --hide-scrollbars --user-data-dir={folder} --remote-debugging-pipe"
        )
        # The browser reads commands at 3 and writes answers at 4.
        begin = f"import os, sys; os.dup2({theirs_in}, 3); os.dup2({theirs_out}, 4); "
        begin += "os.execv(sys.argv[1], sys.argv[1:])"
        self._process = subprocess.Popen(  # noqa: S603 - our own words
            [sys.executable, "-c", begin, program, *options.split(), "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._left = b""
        self._number = 0
        self.log_entries: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session: str | None = None
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """Send one command and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        session = getattr(self, "_session", None)
        if session is not None:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            if answer.get("method") == "Log.entryAdded":
                self.log_entries.append(answer["params"]["entry"]["text"])

    def _read(self) -> Any:
        while b"\0" not in self._left:
            part = os.read(self._in, 1 << 16)
            if not part:
                raise RuntimeError("the browser has ended")
            self._left += part
        line, _, self._left = self._left.partition(b"\0")
        return json.loads(line)

    def ask(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return result["result"].get("value")

    def go(self, url: str, width: int) -> None:
        """Open a page on a screen of that width, without scripts of its own."""
        self.log_entries.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=720,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        self.call("Emulation.setScriptExecutionDisabled", value=True)
        self.call("Page.navigate", url=url)
        self.settled()

    def settled(self) -> None:
        """Wait until the page is complete."""
        until = monotonic() + _SECONDS_MAX
        pause(0.3)
        while self.ask("document.readyState") != "complete":
            if monotonic() > until:
                raise RuntimeError("the page did not load")
            pause(0.1)

    def press(self, selector: str) -> None:
        """Click the middle of what the selector names."""
        box = self.ask(
            f"(() => {{ const it = document.querySelector({json.dumps(selector)}); it.scrollIntoView();"
            " const b = it.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)
        self.settled()

    def picture(self, scale: float) -> bytes:
        """Return the whole page as PNG, so many times as large."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": scale}
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        return b64decode(shot["data"])

    def close(self) -> None:
        """End the browser."""
        try:
            self._session = None
            self.call("Browser.close")
        except (OSError, RuntimeError):
            self._process.terminate()
        self._process.wait(10)


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Services, str]]:
    """Run the pages over a database of their own with the shipped programme; gives services and URL."""
    database_url = f"sqlite:///{folder / 'pictures.db'}"
    settings = load_settings(
        folder=folder,
        environment={},
        database_url=database_url,
        secret_key="a-secret-for-pictures-long-enough",  # noqa: S106
        suppression_key="another-secret-for-pictures",
        admin_password="a-password-for-pictures",  # noqa: S106
    )
    services = open_services(settings, clock=SystemClock())
    migrations.upgrade(services.database)
    publish(
        services.database, load_files(PROGRAMME), now=services.clock.now(), actor="pictures", backlog="none"
    )
    server = make_server(create_app(services), host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until = monotonic() + _SECONDS_MAX
        while not (server.started and server.servers):
            if monotonic() > until:
                raise RuntimeError("the server did not start")
            pause(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield services, f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(15)
        services.close()


def somebody(services: Services, locale: str) -> int:
    """Store a person who reads that language, agreed to the news and paused for a while."""
    now = services.clock.now()

    def work(connection: sa.Connection) -> int:
        playbook: Playbook = services.playbooks.active(connection).playbook
        address = f"mara.{locale.lower()}@example.com"
        (number,) = create_contacts(connection, [(now, address)], playbook)
        where = contacts.c.id == number
        zone = "Asia/Shanghai" if locale == "zh-CN" else "Europe/Berlin"
        connection.execute(sa.update(contacts).where(where).values(locale=locale, zone=zone))
        name = {"kind": "email", "value": address, "contact_id": number, "since": now, "source": "pictures"}
        connection.execute(sa.insert(identities).values(**name))
        record.grant_consent(connection, contact_id=number, topic="news", now=now, source="web", evidence={})
        record.mark_consent_pending(
            connection, contact_id=number, topic="offers", now=now, source="web", evidence={}
        )
        return number

    return services.database.run(work)


def paths(services: Services, number: int, locale: str) -> Mapping[str, str]:
    """Return page -> path for a person; locale: of the pages that know no person."""
    keys, now = services.keys, services.clock.now()

    def asked(connection: sa.Connection) -> dict[str, int]:
        add = request_queries.add_request
        return {
            act: add(
                connection,
                [number],
                act=act,
                address=address,
                old_address=old,
                now=now,
                until=now + DAY,
            )
            for act, address, old in (
                ("address", "new@example.com", "mara@example.com"),
                ("erase", None, None),
            )
        }

    numbers = services.database.run(asked)
    who = {"c": number, "m": 1}
    centre = "/p/" + sign_token(keys, "preferences", who)

    def confirm(**more: Any) -> str:
        return "/confirm/" + sign_token(keys, "confirm", {**who, **more})

    return {
        "preferences": centre,
        "unsubscribe": "/u/" + sign_token(keys, "unsubscribe", {**who, "t": "news"}),
        "confirm": confirm(t="offers"),
        "survey": "/s/" + sign_token(keys, "survey", {**who, "s": "nps_survey"}),
        "address": f"{centre}/address",
        "erase": f"{centre}/erase",
        "confirm_address": confirm(r=numbers["address"]),
        "confirm_erase": confirm(r=numbers["erase"]),
        "object": "/object/" + sign_token(keys, "object", {**who, "r": numbers["address"]}),
        "expired": confirm(r=0),
        "join": f"/join/news?lang={locale}",
    }


def main(wanted: list[str]) -> int:
    """Take the pictures; return 1 when a page has a fault, else 0."""
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as (services, url):
        browser = Browser(Path(folder) / "profile")
        try:
            for locale in LOCALES:
                number = somebody(services, locale)
                for page, path in paths(services, number, locale).items():
                    if wanted and page not in wanted:
                        continue
                    for width in WIDTHS:
                        browser.go(url + path, width)
                        findings = [*browser.ask(_FAULTS), *browser.log_entries]
                        # The response to an expired link is 410, and the browser logs that.
                        findings = [text for text in findings if not (page == "expired" and "410" in text)]
                        name = f"{page}.{locale}.{width}"
                        faults += [f"{name}: {text}" for text in findings]
                        FOLDER.mkdir(exist_ok=True)
                        if page in KEPT:
                            _keep(FOLDER / f"{name}.png", browser.picture(0.5 if width > 500 else 1))
                        print(name, "faults" if findings else "good")  # noqa: T201
                faults += _send(browser, url, services, number, locale)
        finally:
            browser.close()
    for fault in faults:
        print("fault:", fault)  # noqa: T201
    return 1 if faults else 0


def _keep(path: Path, picture: bytes) -> None:
    """Write a picture with 32 steps of each colour and plain rows, a fifth of what the browser makes of it."""
    packed, at = b"", 8
    while at < len(picture):
        size, name = int.from_bytes(picture[at : at + 4]), picture[at + 4 : at + 8]
        body = picture[at + 8 : at + 8 + size]
        at += size + 12
        if name == b"IHDR":
            head = body
        elif name == b"IDAT":
            packed += body
    if head[8:13] != b"\x08\x02\x00\x00\x00":
        raise RuntimeError("the browser makes another kind of PNG now: not 8 bit RGB")
    steps = bytes(round(round(value * 31 / 255) * 255 / 31) for value in range(256))
    rows = b"".join(b"\0" + row.translate(steps) for row in _rows(packed, int.from_bytes(head[:4]) * 3))
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    chunks = (
        len(body).to_bytes(4) + name + body + zlib.crc32(name + body).to_bytes(4) for name, body in parts
    )
    path.write_bytes(picture[:8] + b"".join(chunks))


def _rows(packed: bytes, width: int) -> Iterator[bytes]:
    """Yield the rows of an 8 bit RGB picture without their filters (PNG specification, 9.2)."""
    data = zlib.decompress(packed)
    above = bytearray(width)
    for start in range(0, len(data), width + 1):
        kind, row = data[start], bytearray(data[start + 1 : start + 1 + width])
        for place in range(width if kind else 0):
            left = row[place - 3] if place >= 3 else 0
            corner = above[place - 3] if place >= 3 else 0
            up = above[place]
            if kind == 4:
                guess = left + up - corner
                near = min((left, up, corner), key=lambda each: abs(guess - each))
            else:
                near = (0, left, up, (left + up) // 2)[kind]
            row[place] = (row[place] + near) & 255
        above = row
        yield bytes(row)


def _send(browser: Browser, url: str, services: Services, number: int, locale: str) -> list[str]:
    """Send the form of the preference centre as a person does, with scripts off."""
    browser.go(url + paths(services, number, locale)["preferences"], 320)
    browser.press('input[name="often"][value="7"]')
    browser.press("form button:not(.quiet)")
    saved = browser.ask("Boolean(document.querySelector('.saved'))")
    kept = browser.ask('document.querySelector(\'input[name="often"][value="7"]\').checked')
    return [] if saved and kept else [f"preferences.{locale}: the form was not saved"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
