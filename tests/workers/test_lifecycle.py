"""A worker process opens what its first mail needs before that mail comes."""

import threading
from pathlib import Path
from typing import Any, NoReturn

import pytest
import sqlalchemy as sa

from nurture.app.installation import open_existing
from nurture.app.previews import PreviewOptions, compose_preview, published, warm_templates
from nurture.domain.errors import SettingsError
from nurture.rendering.render import render
from nurture.rendering.templates import Templates
from tests.workers.installation import environment, installed, settings_of
from workers import context, lifecycle, loops


def test_a_mail_that_cannot_wait_finds_its_template_compiled(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compile_now(*_arguments: Any) -> NoReturn:
        message = "a template is compiled while a mail waits for it"
        raise AssertionError(message)

    with installed(settings_of(tmp_path, sqlite_url)) as services:
        context.use(context.make_context(services))
        try:
            lifecycle.begin()
            for thread in threading.enumerate():
                if thread.name == "warm":
                    thread.join(60)
            monkeypatch.setattr(Templates, "_compile", compile_now)
            for locale in ("en", "zh-CN"):
                mail = compose_preview(
                    published(services), "customer/any/order_confirmation", PreviewOptions(locale=locale)
                )
                assert render(mail.loaded.templates, mail.frozen)
        finally:
            lifecycle.end()


def test_every_mail_that_cannot_wait_is_made_in_every_language(sqlite_url: str, tmp_path: Path) -> None:
    with installed(settings_of(tmp_path, sqlite_url)) as services:
        made = warm_templates(services)
        with services.database.read() as connection:
            playbook = services.playbooks.active(connection).playbook
    urgent = {path for path, measure in playbook.measures.items() if measure.purpose == "transactional"}
    assert len(urgent) > 3
    assert made == dict.fromkeys(urgent, playbook.locales)


def test_a_process_that_replaces_another_goes_on_after_a_newer_release_has_migrated(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with installed(settings_of(tmp_path, sqlite_url)) as services, services.database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9000'"))
    for name, value in environment(tmp_path, sqlite_url).items():
        monkeypatch.setenv(name, value)
    try:
        assert loops.wake(context.here()).total() == 0
    finally:
        context.here().close()
        context.use(None)
    with pytest.raises(SettingsError, match="start the newer version"):
        open_existing()
