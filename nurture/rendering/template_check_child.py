"""The child that checks templates: reads one job from stdin, answers a JSON line per mail, ends. See `check`."""

import json
import resource
import sys
from math import ceil

from nurture.rendering.inspect import Inspector
from nurture.rendering.shared_values import Imprint
from nurture.rendering.template_check import MailOf
from nurture.rendering.templates import Templates


def main() -> None:
    """Check the mails of the job on stdin, one after the other, under its limits."""
    job = json.load(sys.stdin)
    memory = job["limits"]["memory_bytes"]
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    # No core files of what people planned to write.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    inspector = Inspector(Templates(job["files"], Imprint(**job["imprint"])))
    for given in job["mails"]:
        mail = MailOf(*given)
        _allow(job["limits"]["cpu_seconds"])
        parts, problems = inspector.look(**mail._asdict())
        answer = {
            "path": mail.path,
            "problems": problems,
            "subject": parts.subject if parts else None,
            "text": parts.text if parts else None,
        }
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _allow(seconds: int) -> None:
    """Grant processor time from now on; past it the system ends this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    until = ceil(usage.ru_utime + usage.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))
