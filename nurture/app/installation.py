"""Open an installation. `migrate`, `up` and `demo` create or upgrade it; everything else requires an existing one."""

from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from nurture.access import queries
from nurture.app.services import Services
from nurture.app.webhooks.outgoing import target_names
from nurture.database import migrations
from nurture.database.engine import Database, open_database
from nurture.database.meta import require_suppression_key
from nurture.database.notifications import Notifier
from nurture.domain.errors import SettingsError
from nurture.domain.signing import SigningKeys
from nurture.playbook import PublishedPlaybooks, load_files, publish
from nurture.runtime.clock import Clock, SystemClock
from nurture.runtime.log import keep_secret
from nurture.runtime.settings import Settings, load_settings
from nurture.runtime.settings_completion import complete


def open_services(
    settings: Settings,
    *,
    clock: Clock | None = None,
    notifier: Notifier | None = None,
    pool_size: int = 5,
    keeps: bool = True,
) -> Services:
    """Return the services for complete settings; connects at first use. keeps, notifier: see `open_database`."""
    keep_secret(*settings.secret_values())
    database = open_database(settings.database_url, pool_size=pool_size, keeps=keeps, notifier=notifier)
    return Services(
        database=replace(database, hooks=target_names(settings)),
        settings=settings,
        clock=clock or SystemClock(),
        keys=SigningKeys(settings.signing_secrets),
        playbooks=PublishedPlaybooks(has_template_cache=settings.template_cache == "on"),
    )


def open_existing(
    settings: Settings | None = None,
    *,
    notifier: Notifier | None = None,
    clock: Clock | None = None,
    serves: bool = False,
    pool_size: int = 5,
    or_newer: bool = False,
) -> Services:
    """Open an existing installation.

    serves: this process serves HTTP, which needs more settings. or_newer: see `migrations.require_current`.
    Raises SettingsError when the database does not exist, has another version or another suppression key, or cannot
    be reached.
    """
    settings = settings or load_settings()
    database = open_database(settings.database_url, pool_size=1)
    try:
        migrations.require_current(database, or_newer=or_newer)
        settings = complete(settings, serves=serves, **read_access_state(database))
        database.run(lambda c: require_suppression_key(c, settings.suppression_fingerprint))
    except DBAPIError as error:
        raise SettingsError(unreachable_message(settings, error)) from error
    finally:
        database.close()
    return open_services(settings, notifier=notifier, clock=clock, pool_size=pool_size)


def read_access_state(database: Database) -> dict[str, bool]:
    """Return `has_users` and `has_keys`: whether the database has users and API keys; False without a database."""
    try:
        migrations.require_current(database)
    except (SettingsError, DBAPIError):
        return {"has_users": False, "has_keys": False}
    with database.read() as connection:
        return {"has_users": queries.has_users(connection), "has_keys": queries.has_keys(connection)}


def has_database(settings: Settings) -> bool:
    """Tell whether there may be a database: false where the file of an embedded one is missing."""
    name = sa.make_url(settings.database_url).database
    is_file = settings.database_url.startswith("sqlite") and name not in (None, "", ":memory:")
    return not is_file or Path(str(name)).exists()


def unreachable_message(settings: Settings, error: DBAPIError) -> str:
    """Return the error message for a database that cannot be reached, without its password."""
    shown = settings.shown()["NURTURE_DATABASE_URL"]
    lines = [line.strip() for line in str(error.orig).splitlines() if line.strip()]
    return f"NURTURE_DATABASE_URL: {shown} does not answer: {lines[-1] if lines else error}"


def programme_folder(settings: Settings) -> Path:
    """Return the programme's folder: NURTURE_PLAYBOOK if set or present here, else the one that ships."""
    is_set = settings.sources()["NURTURE_PLAYBOOK"] != "default"
    return settings.playbook if is_set or settings.playbook.is_dir() else shipped_programme()


def shipped_programme() -> Path:
    """Return the folder of the programme that ships, in a source tree or an installed wheel. Raises SettingsError."""
    package = Path(__file__).parent.parent
    for folder in (package / "_shipped", package.parent / "email_templates"):
        if (folder / "playbook.yaml").is_file():
            return folder
    message = (
        "NURTURE_PLAYBOOK: there is no programme here, and none is installed; set it to a programme's folder"
    )
    raise SettingsError(message)


def migrate(
    settings: Settings, *, clock: Clock | None = None, serves: bool = False, keeps: bool = True
) -> Services:
    """Create or upgrade the database, bind its suppression key, publish the playbook where none is active.

    Raises PlaybookError for a playbook with faults, before anything is created, and SettingsError.
    """
    files = load_files(programme_folder(settings))
    existing = open_database(settings.database_url, pool_size=1)
    try:
        settings = complete(settings, create=True, serves=serves, **read_access_state(existing))
    finally:
        existing.close()
    services = open_services(settings, clock=clock, keeps=keeps)
    database = services.database
    try:
        migrations.upgrade(database)
        database.run(lambda c: require_suppression_key(c, settings.suppression_fingerprint))
    except DBAPIError as error:
        raise SettingsError(unreachable_message(settings, error)) from error
    with database.read() as connection:
        is_published = services.playbooks.active_id(connection) is not None
    if not is_published:
        publish(database, files, now=services.clock.now(), actor="migrate", backlog="none")
    return services
