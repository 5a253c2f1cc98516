"""Check unpublished templates in a child process with limits on time and memory.

The sandbox limits what a template may touch, but not how long one filter runs or how much memory it uses, and no
signal inside the interpreter can stop a filter. So a child process with limits on memory and processor time renders
unpublished templates, under a timeout. The template that exceeds a limit is named; the next child checks the rest.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from math import ceil
from queue import Empty, Queue
from threading import Thread
from typing import Any, Final, NamedTuple

from nurture.rendering.errors import TemplateProblem
from nurture.rendering.shared_values import SharedValues
from nurture.rendering.template_files import path_of

#: Limits for one mail: seconds of processor time, seconds by the clock, bytes of address space.
CPU_SECONDS: Final = 3
CLOCK_SECONDS: Final = 30.0
MEMORY_BYTES: Final = 1_000_000_000
#: The most children at a time, and the fewest mails for each: a child takes half a second to start.
_CHILDREN_MAX: Final = 4
_SHARE_MIN: Final = 20


class MailToCheck(NamedTuple):
    """One mail to check, with its measure's purpose and topic."""

    measure: str
    step: str
    mail: str
    variant: str
    locale: str
    purpose: str
    topic: str | None
    # A mail to owners, which has a text part alone.
    to_owner: bool = False
    # The name of a further sample: `office` for sample.office.json.
    sample: str = ""

    @property
    def path(self) -> str:
        """Return the path of its MJML file; of a mail to owners that of its text file."""
        return path_of(self.measure, self.mail, self.variant, self.locale, "txt" if self.to_owner else "mjml")


@dataclass(slots=True)
class CheckResult:
    """The problems of all mails, and subject and text of those that render."""

    # In the order of the mails; a problem of a shared layout only once.
    problems: list[TemplateProblem] = field(default_factory=list)
    # Subject and text part of the rendered sample, by the MJML file's path.
    subjects: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


def check_templates(
    files: Mapping[str, str],
    shared: SharedValues,
    mails: Sequence[MailToCheck],
    *,
    cpu_seconds: int = CPU_SECONDS,
    clock_seconds: float = CLOCK_SECONDS,
    memory_bytes: int = MEMORY_BYTES,
) -> CheckResult:
    """Compile and render each mail with its sample; return every problem.

    Many mails are shared among children, one for each core. A mail's fault is a problem in the result, never an
    exception; a mail that exceeds a limit is one too.
    """
    job = {
        "files": dict(files),
        "shared": asdict(shared),
        "limits": {"cpu_seconds": cpu_seconds, "memory_bytes": memory_bytes},
    }
    shares = _shares(mails)
    result = CheckResult()
    with ThreadPoolExecutor(max(1, len(shares))) as pool:
        for done in pool.map(lambda share: _check_share(job, share, clock_seconds), shares):
            known = set(result.problems)
            result.problems += [problem for problem in done.problems if problem not in known]
            result.subjects |= done.subjects
            result.texts |= done.texts
    return result


def _shares(mails: Sequence[MailToCheck]) -> list[list[MailToCheck]]:
    """Return the mails in one share, or in one for each core when each has enough to do."""
    count = max(1, min(_CHILDREN_MAX, os.cpu_count() or 1, len(mails) // _SHARE_MIN))
    size = max(1, ceil(len(mails) / count))
    return [list(mails[start : start + size]) for start in range(0, len(mails), size)]


def _check_share(job: Mapping[str, Any], mails: Sequence[MailToCheck], clock_seconds: float) -> CheckResult:
    """Check mails in one child, and in a next one behind each mail that ended it."""
    result = CheckResult()
    left = list(mails)
    limits = job["limits"]
    while left:
        done = 0
        for answer in _answers(json.dumps({**job, "mails": left}), clock_seconds):
            done += 1
            _add_answer(result, answer)
        if done < len(left):
            # The child ended while it rendered this one.
            what = f"it takes more than {limits['cpu_seconds']} s or {limits['memory_bytes'] // 1_000_000} MB"
            result.problems.append(TemplateProblem(left[done].path, 1, what, "make it simpler"))
            done += 1
        left = left[done:]
    return result


def _add_answer(result: CheckResult, answer: dict[str, Any]) -> None:
    """Add the child's answer about one mail; problems that the result has already are left out."""
    problems = [TemplateProblem(*problem) for problem in answer["problems"]]
    known = set(result.problems)
    result.problems += [problem for problem in dict.fromkeys(problems) if problem not in known]
    if answer["subject"] is not None:
        result.subjects[answer["path"]] = answer["subject"]
        result.texts[answer["path"]] = answer["text"]


def _answers(job: str, clock_seconds: float) -> Iterator[dict[str, Any]]:
    """Run one child; yield its answers, in order, until it ends or writes nothing for `clock_seconds`."""
    # The child gets this process's import path, so it also works when nurture is not installed.
    module = "nurture.rendering.checking.template_check_child"
    code = f"import sys; sys.path[:] = {sys.path!r}; from {module} import main; main()"
    with subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        lines: Queue[str | None] = Queue()
        Thread(target=_exchange, args=(child, job, lines), daemon=True).start()
        try:
            while line := lines.get(timeout=clock_seconds):
                yield json.loads(line)
        except (Empty, ValueError):
            # The timeout is over, or the child was killed while it wrote a line.
            pass
        finally:
            child.kill()


def _exchange(child: "subprocess.Popen[str]", job: str, lines: "Queue[str | None]") -> None:
    """Write the job to the child and put its lines into the queue; None marks the end."""
    try:
        if child.stdin and child.stdout:
            child.stdin.write(job)
            child.stdin.close()
            for line in child.stdout:
                lines.put(line)
    except (OSError, ValueError):
        # The child ended during the exchange; its complete answers count.
        pass
    finally:
        lines.put(None)
