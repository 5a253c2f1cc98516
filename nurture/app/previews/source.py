"""The programme of a preview: the published one, or the folder that is being edited, without a database."""

from dataclasses import dataclass
from pathlib import Path

from nurture.app.services import Services
from nurture.playbook import LoadedPlaybook, load_files, rebuild


@dataclass(frozen=True, slots=True)
class PreviewSource:
    """A programme, and the installation where there is one."""

    loaded: LoadedPlaybook
    # None: nobody's own values can be used.
    services: Services | None = None


def published(services: Services) -> PreviewSource:
    """Return the active programme of the installation."""
    with services.database.read() as connection:
        return PreviewSource(services.playbooks.active(connection), services)


def of_folder(folder: Path, services: Services | None = None) -> PreviewSource:
    """Return the programme of a folder. A fault of another measure does not stop it.

    services: for the values of people. Raises PlaybookError when the files cannot be read as a programme.
    """
    return PreviewSource(rebuild(load_files(folder), id_=0), services)
