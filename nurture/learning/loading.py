"""Import the models when one is asked for: numpy is an extra, and processes without a model do without it."""

from importlib import import_module
from types import ModuleType

from nurture.domain.errors import SettingsError


def load(module: str) -> ModuleType:
    """Return a module of this room that works with numpy. Raises SettingsError where numpy is missing."""
    try:
        return import_module(f"nurture.learning.{module}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "numpy":
            raise
        raise SettingsError(
            "models of churn, value and score need numpy; install it by: pip install 'nurture[learn]'"
        ) from error
