"""django-drip-campaigns: one drip to everybody, by its own command `send_drips`.

It is installed by pip in a throw-away environment, works on the same PostgreSQL server, speaks to the same sink,
and its mail has the HTML part that ours has, with the person's name put in by its own templates.

Said in its favour: it needs no state of its own to be kept per person, so it writes one row a mail; it is told to
make no unsubscribe links; nobody else works on its tables. Said against it: it opens a connection for every mail,
and a second process would send everything twice, so it runs alone. It has no guard, no consent or caps, no time
zones, no retry, no plain-text template, no record of what became of a mail, and what a crash leaves half sent is
sent again: compare what is done, not only how fast.
"""

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import bulk_send
from bench.stage import MEASURE, Figure, Stage, database
from nurture.app.previews import compose_preview
from nurture.app.previews.source import published
from nurture.rendering.render import render, render_parts
from tests.rig.postgres import Postgres

_PACKAGES = ("django-drip-campaigns==1.16.2", "psycopg[binary]>=3.1")
_SETTINGS = """
import os
SECRET_KEY = "for measuring only"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "drip"]
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", **__import__("json").loads(os.environ["DB"])}}
EMAIL_HOST, EMAIL_PORT = "127.0.0.1", int(os.environ["SINK"])
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]
DEFAULT_FROM_EMAIL = "shop@bench.example"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""
_PREPARE = """
import sys
from django.contrib.auth.models import User
from drip.models import Drip, QuerySetRule
count, html = int(sys.argv[1]), open(sys.argv[2], encoding="utf-8").read()
User.objects.bulk_create(
    [User(username=f"p{n}", email=f"p{n}@bench.example", first_name="Ada") for n in range(count)], batch_size=2000
)
body = "{{ user.first_name }},{% verbatim %}" + html + "{% endverbatim %}"
drip = Drip.objects.create(name="notice", enabled=True, from_email="shop@bench.example",
    subject_template="{{ user.first_name }}, the new harvest", body_html_template=body)
QuerySetRule.objects.create(drip=drip, field_name="is_active", lookup_type="exact", field_value="True")
"""
_RUN = """
import django
django.setup()
{body}
"""


def measure(postgres: Postgres, scale: float) -> list[Figure]:
    """Return mails a second of the peer, and of ours with one worker and two: 5,000 people at scale 1."""
    people = max(50, int(5_000 * scale))
    theirs, size = _theirs(postgres, people)
    figures = [
        Figure(
            "peer",
            f"django-drip-campaigns 1.16.2, `send_drips` to {people} people, mails of {size // 1024} kB, 1 process",
            theirs,
            "mails/s",
            note="no guard, consent, caps, retries or outcomes; a connection for each mail",
        )
    ]
    for count in (1, 2):
        with database(postgres) as url, TemporaryDirectory(prefix="nurture-bench-") as folder:
            sent = bulk_send.by_workers(url, Path(folder), people, count, seconds=120, ready_made=200)
        who = "1 worker" if count == 1 else f"{count} workers"
        note = f"{sent.rate / theirs:.1f} times the peer"
        figures.append(
            Figure("peer", f"nurture, `nurture send` to the same, {who}", sent.rate, "mails/s", note=note)
        )
    return figures


def _theirs(postgres: Postgres, people: int) -> tuple[float, int]:
    """Return its mails a second and the bytes of one of its mails' HTML."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="nurture-bench-")))
        url = stack.enter_context(database(postgres))
        python = _installed(folder / "venv")
        port, log = stack.enter_context(bulk_send.sink(folder))
        html, size = _our_mail(postgres)
        (folder / "mail.html").write_text(html, encoding="utf-8")
        (folder / "project.py").write_text(_SETTINGS, encoding="utf-8")
        environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(folder),
            "DJANGO_SETTINGS_MODULE": "project",
            "SINK": str(port),
            "DB": json.dumps(_django_database(url)),
        }

        def run(*words: str) -> None:
            done = subprocess.run(
                [python, *words], env=environment, cwd=folder, capture_output=True, text=True, check=False
            )
            if done.returncode:
                message = f"{words[:3]}: {done.stderr[-800:]}"
                raise AssertionError(message)

        run("-m", "django", "migrate", "--verbosity", "0")
        run("-c", _RUN.format(body=_PREPARE), str(people), str(folder / "mail.html"))
        begun = time.perf_counter()
        run("-m", "django", "send_drips")
        took = time.perf_counter() - begun
        arrived = len(log.read_text().splitlines())
    if arrived != people:
        message = f"the sink took {arrived} of {people} mails"
        raise AssertionError(message)
    return people / took, size


def _installed(home: Path) -> Path:
    """Make the throw-away environment; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    python = home / "bin/python"
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_PACKAGES)
    subprocess.run(pip, check=True, capture_output=True)
    return python


def _our_mail(postgres: Postgres) -> tuple[str, int]:
    """Return the HTML of the mail that our own send sends, and how many bytes the whole mail has."""
    with database(postgres) as url:
        services = Stage(url).migrated()
        try:
            mail = compose_preview(published(services), MEASURE)
            data = render(mail.loaded.templates, mail.frozen)
            return render_parts(mail.loaded.templates, mail.frozen).html, len(data)
        finally:
            services.close()


def _django_database(url: str) -> dict[str, str]:
    """Return the parts of a URL as Django names them."""
    rest, _, name = url.rpartition("/")
    user, _, place = rest.removeprefix("postgresql://").rpartition("@")
    host, _, port = place.partition(":")
    return {"NAME": name, "USER": user.partition(":")[0], "HOST": host, "PORT": port}
