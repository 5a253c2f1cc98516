"""The marks around a value of one mail in text that a template prints.

Both are characters of private use; `nurture.rendering.context.plain_values` removes them from values.
"""

from typing import Final

OPEN: Final = "\ue000"
CLOSE: Final = "\ue001"
