"""Measure the cost of a mail: freezing, rendering, MIME, and speaking SMTP.

    python bench/mail.py

Renders a shipped mail (the abandoned cart, two lines) from its sample; speaks with `sink.py` over
loopback. Every figure is the best of several rounds; those without a server count processor time, so that other
work on the machine blurs them less.
"""

# ruff: noqa: E402 - run as a script, from a checkout
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Without installing anything.
sys.path.insert(0, str(ROOT))

from nurture.delivery.journal.file_format import Passed
from nurture.delivery.journal.writer import Journal
from nurture.domain.signing import SigningKeys
from nurture.playbook import build, load_files
from nurture.rendering.headers import header_lines
from nurture.rendering.links import links_for
from nurture.rendering.render import render, render_parts, to_bytes
from nurture.rendering.sample import sample_context
from nurture.rendering.templates import Templates
from nurture.transports.registry import OutgoingMail, open_transport

MEASURE, MAIL = "customer/any/abandoned_cart", "left"


def rate(work: Callable[[], object], *, rounds: int = 25, each: int = 40) -> float:
    """Return how often a second the work can be done, in the best round."""
    best = float("inf")
    for _ in range(rounds):
        begun = time.process_time()
        for _ in range(each):
            work()
        best = min(best, (time.process_time() - begun) / each)
    return 1 / best


@contextmanager
def sink(delay: float) -> Iterator[int]:
    """Give the port of a sink that answers after so many seconds."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with subprocess.Popen(
        [sys.executable, str(ROOT / "bench/sink.py"), str(port), "-", str(delay)]
    ) as process:
        while True:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            time.sleep(0.02)
        try:
            yield port
        finally:
            process.kill()


def smtp_rate(port: int, data: bytes, *, connections: int, mails: int) -> tuple[float, float]:
    """Return mails a second once so many connections stand, and microseconds of processor time a mail."""
    transport = open_transport(f"smtp://127.0.0.1:{port}?connections={connections}&fresh=60")
    mails_to_send = [OutgoingMail(number, 1, "bounce@shop.test", "a@x.test", data) for number in range(mails)]
    for _ in transport.send(mails_to_send[: connections * 3]):
        pass
    best, cpu = 0.0, float("inf")
    for _ in range(5):
        begun, used = time.perf_counter(), time.process_time()
        assert all(outcome.outcome == "sent" for outcome in transport.send(iter(mails_to_send)))
        best = max(best, mails / (time.perf_counter() - begun))
        cpu = min(cpu, (time.process_time() - used) / mails * 1e6)
    transport.close()
    return best, cpu


def journal_costs(port: int, data: bytes, folder: Path, *, mails: int = 1600, window: int = 100) -> list[str]:
    """Return what a mail costs without and with the delivery journal: wall time and processor, best of seven.

    Both in turns, so that other work on the machine meets both; windows as the send gate lets them through.
    """
    now = int(time.time() * 1_000_000)
    journal = Journal(folder, database="bench", now=now, fence=600.0)
    transports = {
        "without": open_transport(f"smtp://127.0.0.1:{port}?connections=8"),
        "with": open_transport(f"smtp://127.0.0.1:{port}?connections=8", note=journal.note),
    }
    best = {name: (float("inf"), float("inf")) for name in transports}
    number = 0
    for _ in range(8):
        for name, transport in transports.items():
            wall, cpu = time.perf_counter(), time.process_time()
            for first in range(0, mails, window):
                mails_to_send = [
                    OutgoingMail(first + n, 1, "bounce@shop.test", "a@x.test", data) for n in range(window)
                ]
                if name == "with":
                    number += 1
                    passed = [
                        Passed(mail.message_id, 1, mail.message_id, now, False, "a" * 24)
                        for mail in mails_to_send
                    ]
                    journal.passed("main", number, passed, at=now)
                assert all(outcome.outcome == "sent" for outcome in transport.send(iter(mails_to_send)))
                journal.settled(list(journal.in_flight("main")))
            spent = (time.perf_counter() - wall) / mails * 1e6, (time.process_time() - cpu) / mails * 1e6
            best[name] = min(best[name][0], spent[0]), min(best[name][1], spent[1])
    journal.close()
    for transport in transports.values():
        transport.close()
    written = sum(path.stat().st_size for path in folder.iterdir()) / (8 * mails)
    lines = [
        f"{name} the journal: {wall:.0f} µs a mail, {cpu:.0f} of processor"
        for name, (wall, cpu) in best.items()
    ]
    return [*lines, f"the journal writes {written:.0f} bytes a mail"]


def main() -> None:
    """Measure and print one line per figure."""
    files = load_files(ROOT / "email_templates")
    playbook = build(files).playbook
    templates = Templates.of(files, playbook)
    measure = playbook.measures[MEASURE]

    def frozen_one() -> object:
        return sample_context(
            templates,
            measure=MEASURE,
            step=MAIL,
            mail=MAIL,
            variant="",
            locale="en",
            purpose=measure.purpose,
            topic=measure.topic,
        )

    frozen = frozen_one()
    keys = SigningKeys((b"a secret of more than sixteen bytes",))
    data, parts = render(templates, frozen), render_parts(templates, frozen)
    print(f"mail of {len(data)} bytes, HTML {len(parts.html)}")
    figures = {
        "links signed, 6 a mail": lambda: links_for(
            keys, "https://x.test", contact_id=1, message_id=2, topic="t", asked="t"
        ),
        "frozen": frozen_one,
        "both parts, recording": lambda: render_parts(templates, frozen),
        "both parts, reference path": lambda: render_parts(templates, frozen, reference=True),
        "headers": lambda: header_lines(frozen, templates.shared, subject=parts.subject),
        "MIME, headers included": lambda: to_bytes(templates, frozen, parts),
        "whole render to bytes": lambda: render(templates, frozen),
    }
    for name, work in figures.items():
        print(f"{name:32} {rate(work):10,.0f} /s")
    with sink(0.0) as port, tempfile.TemporaryDirectory() as folder:
        for figure in journal_costs(port, data, Path(folder)):
            print(figure)
    for delay in (0.0, 0.02):
        with sink(delay) as port:
            for connections in (1, 16, 128):
                mails = 3000 if not delay else max(60, connections * 40)
                figure, cpu = smtp_rate(port, data, connections=connections, mails=mails)
                name = f"SMTP, {delay * 1000:.0f} ms, {connections} connections"
                print(f"{name:32} {figure:10,.0f} /s, {cpu:.0f} µs of processor a mail")


if __name__ == "__main__":
    main()
