"""The child process of `template_check`: reads one job from stdin and writes one JSON line per mail to stdout."""

import json
import resource
import sys
from math import ceil

from nurture.rendering.checking.mail_checker import MailChecker
from nurture.rendering.checking.template_check import MailToCheck
from nurture.rendering.shared_values import SharedValues
from nurture.rendering.templates import Templates


def main() -> None:
    """Check the mails of the job on stdin, one after the other, under its limits."""
    job = json.load(sys.stdin)
    memory = job["limits"]["memory_bytes"]
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    # A core file would hold unpublished mails.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    checker = MailChecker(Templates(job["files"], SharedValues(**job["shared"])))
    for fields in job["mails"]:
        mail = MailToCheck(*fields)
        _limit_processor_time(job["limits"]["cpu_seconds"])
        parts, problems = checker.check(**mail._asdict())
        # A mail's own subject and text are those of sample.json.
        shown = None if mail.sample else parts
        answer = {
            "path": mail.path,
            "problems": problems,
            "subject": shown.subject if shown else None,
            "text": shown.text if shown else None,
        }
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _limit_processor_time(seconds: int) -> None:
    """Allow this many seconds of processor time from now on; beyond them the kernel ends this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    until = ceil(usage.ru_utime + usage.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))
