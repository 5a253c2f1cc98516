"""Checking templates that nobody has checked before, in a process of their own that can be stopped.

A sandbox bounds what a template may touch, not how long a filter runs or how much it makes; no signal inside
the interpreter stops that either. So unpublished templates are rendered by a child with limits on memory and
processor time, watched by the clock; the template that breaks a limit is named, and the others are checked by
the next child.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from queue import Empty, Queue
from threading import Thread
from typing import Any, Final, NamedTuple

from nurture.rendering.errors import TemplateProblem
from nurture.rendering.shared_values import Imprint
from nurture.rendering.template_files import path_of

#: What one mail may use: processor seconds, seconds by the clock, bytes of address space.
CPU_SECONDS: Final = 3
CLOCK_SECONDS: Final = 30.0
MEMORY_BYTES: Final = 1_000_000_000


class MailOf(NamedTuple):
    """One mail to check, with what its measure says of it."""

    measure: str
    step: str
    mail: str
    variant: str
    locale: str
    purpose: str
    topic: str | None

    @property
    def path(self) -> str:
        """Its MJML file."""
        return path_of(self.measure, self.mail, self.variant, self.locale, "mjml")


@dataclass(slots=True)
class Checked:
    """What a check found."""

    # In the order of the mails; each problem once, however many mails share the layout it stands in.
    problems: list[TemplateProblem] = field(default_factory=list)
    # Subject and text part of the sample, by the MJML file's path, where it renders.
    subjects: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


def check_templates(
    files: Mapping[str, str],
    imprint: Imprint,
    mails: Sequence[MailOf],
    *,
    cpu_seconds: int = CPU_SECONDS,
    clock_seconds: float = CLOCK_SECONDS,
    memory_bytes: int = MEMORY_BYTES,
) -> Checked:
    """Compile and render each mail with its sample; return every problem. Never hangs, never raises for one."""
    checked = Checked()
    seen: set[TemplateProblem] = set()
    left = list(mails)
    limits = {"cpu_seconds": cpu_seconds, "memory_bytes": memory_bytes}
    while left:
        job = {
            "files": dict(files),
            "imprint": asdict(imprint),
            "mails": left,
            "limits": limits,
        }
        done = 0
        for answer in _answers(json.dumps(job), clock_seconds):
            done += 1
            for problem in (TemplateProblem(*each) for each in answer["problems"]):
                if problem not in seen:
                    seen.add(problem)
                    checked.problems.append(problem)
            if answer["subject"] is not None:
                checked.subjects[answer["path"]] = answer["subject"]
                checked.texts[answer["path"]] = answer["text"]
        if done < len(left):
            # The child stopped in the middle of this one.
            what = f"it takes more than {cpu_seconds} s or {memory_bytes // 1_000_000} MB"
            checked.problems.append(TemplateProblem(left[done].path, 1, what, "make it simpler"))
            done += 1
        left = left[done:]
    return checked


def _answers(job: str, clock_seconds: float) -> Iterator[dict[str, Any]]:
    """Run one child; yield its answers, in order, until it ends or says nothing for too long."""
    # The child finds our modules where we found them, installed or not.
    code = f"import sys; sys.path[:] = {sys.path!r}; from nurture.rendering.template_check_child import main; main()"
    with subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        lines: Queue[str | None] = Queue()
        Thread(target=_converse, args=(child, job, lines), daemon=True).start()
        try:
            while line := lines.get(timeout=clock_seconds):
                yield json.loads(line)
        except (Empty, ValueError):
            # Silent for too long, or killed in the middle of a line.
            pass
        finally:
            child.kill()


def _converse(child: "subprocess.Popen[str]", job: str, lines: "Queue[str | None]") -> None:
    try:
        if child.stdin and child.stdout:
            child.stdin.write(job)
            child.stdin.close()
            for line in child.stdout:
                lines.put(line)
    except (OSError, ValueError):
        # It died while it was spoken to; what it said so far counts.
        pass
    finally:
        lines.put(None)
