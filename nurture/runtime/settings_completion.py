"""Complete the settings for running: secrets of an embedded run, and what a process that serves must have."""

import ipaddress
from pathlib import Path

from nurture.domain.errors import SettingsError
from nurture.runtime.made_secrets import make_secrets
from nurture.runtime.settings import PREFIX, Settings


def complete(
    settings: Settings,
    *,
    create: bool = False,
    serves: bool = False,
    has_users: bool = False,
    has_keys: bool = False,
) -> Settings:
    """Return the settings with everything that running needs.

    create: a first start; an embedded database gets secrets of its own, in a file only its owner can read.
    serves: this process listens on HTTP_HOST. has_users, has_keys: the database knows who may sign in, and
    hand in. Raises SettingsError that lists every fault.
    """
    if create and settings.secrets_file:
        settings = _with_made_secrets(settings, settings.secrets_file)
    faults = []
    make = "make one with: openssl rand -base64 32"
    if not settings.secret_key:
        faults.append(f"NURTURE_SECRET_KEY is not set, so no link in a mail can be signed; {make}")
    if settings.suppression_key is None:
        faults.append(f"NURTURE_SUPPRESSION_KEY is not set; {make}, and keep it as long as the database")
    if serves and not _is_loopback(settings.http_host):
        open_to = f"while HTTP listens on {settings.http_host}"
        if settings.admin_password is None and not has_users:
            faults.append(f"NURTURE_ADMIN_PASSWORD is not set {open_to}: set it, or listen on 127.0.0.1")
        if not (settings.write_keys or settings.browser_keys or has_keys):
            faults.append(f"NURTURE_WRITE_KEYS is not set {open_to}: set one key for each application")
    if settings.event_hooks and not settings.hook_secrets:
        faults.append(
            f"NURTURE_HOOK_SECRETS is not set, so no post of NURTURE_EVENT_HOOKS can be signed; {make}"
        )
    if faults:
        raise SettingsError("\n".join(faults))
    return settings


def _with_made_secrets(settings: Settings, path: Path) -> Settings:
    """Make the secrets that are missing and add them to the file beside the database."""
    wanted = [name for name in ("secret_key", "suppression_key") if not getattr(settings, name)]
    if not wanted:
        return settings
    made = make_secrets(path, wanted, prefix=PREFIX)
    values = {name: getattr(settings, name) for name in settings.model_fields_set}
    sources = settings.sources() | {PREFIX + name.upper(): str(path) for name in made}
    return Settings(**(values | made)).traced(sources)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
