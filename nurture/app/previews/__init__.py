"""Previews: the exact mail of a measure, from a sample or with a person's own values; and test mails.

The programme is the published one, or a folder that is being edited.
"""

from nurture.app.previews.compose import PreviewOptions, compose_preview
from nurture.app.previews.show import preview, warm_templates
from nurture.app.previews.source import PreviewSource, of_folder, published
from nurture.app.previews.trial_mail import send_test

__all__ = [
    "PreviewOptions",
    "PreviewSource",
    "compose_preview",
    "of_folder",
    "preview",
    "published",
    "send_test",
    "warm_templates",
]
