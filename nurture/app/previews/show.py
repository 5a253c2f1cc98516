"""Previews as people read them: subject, preheader, text and HTML of a measure's mail."""

from typing import Any

from nurture.app.previews.compose import NO_OPTIONS, PreviewOptions, compose_preview, find_step, values_of
from nurture.app.previews.source import PreviewSource, published
from nurture.app.services import Services
from nurture.domain.errors import InputError
from nurture.domain.measure import NotifyStep
from nurture.rendering.errors import TemplateFault
from nurture.rendering.images import embed_images
from nurture.rendering.owner_mail import owner_sample_view, render_owner_mail
from nurture.rendering.render import render, render_parts
from nurture.rendering.sample import SAMPLE_BASE_URL


def preview(source: PreviewSource, target: str, options: PreviewOptions = NO_OPTIONS) -> dict[str, Any]:
    """Return subject, preheader, text and HTML of a measure's mail.

    target: MEASURE or MEASURE/STEP; without a step the first mail. Raises NotFoundError or InputError.
    """
    owner_mail = _preview_owner_mail(source, target, options)
    if owner_mail is not None:
        return owner_mail
    mail = compose_preview(source, target, options)
    try:
        parts = render_parts(mail.loaded.templates, mail.frozen)
    except TemplateFault as fault:
        message = f"{target}: {fault}"
        raise InputError(message) from fault
    return {
        "measure": mail.measure.path,
        "step": mail.step.id,
        "locale": mail.frozen["locale"],
        "variant": mail.variant,
        "subject": parts.subject,
        "preheader": parts.preheader,
        "text": parts.text,
        # The pictures are inside, because a preview is looked at without a server.
        "html": embed_images(parts.html, mail.loaded.templates.images, SAMPLE_BASE_URL),
        "notes": list(mail.notes),
    }


def _preview_owner_mail(source: PreviewSource, target: str, options: PreviewOptions) -> dict[str, Any] | None:
    """Return a mail to owners as `preview` does, without HTML; None where the target is a mail to people."""
    loaded = source.loaded
    measure, step = find_step(loaded, target)
    if not isinstance(step, NotifyStep):
        return None
    sample, _ = values_of(source, measure, options)
    templates, playbook = loaded.templates, loaded.playbook
    try:
        mail = render_owner_mail(
            templates,
            measure=measure.path,
            mail=step.mail,
            view=owner_sample_view(templates, sample),
            zone=playbook.default_zone,
        )
    except TemplateFault as fault:
        message = f"{target}: {fault}"
        raise InputError(message) from fault
    return {
        "measure": measure.path,
        "step": step.id,
        "locale": playbook.default_locale,
        "to": ", ".join(step.to),
        "subject": mail.subject,
        "preheader": "",
        "text": mail.text,
        "html": "",
        "notes": [],
    }


def warm_templates(services: Services) -> dict[str, tuple[str, ...]]:
    """Render each transactional mail once, so that the process's first one finds its template compiled.

    It sends and writes nothing. Returns measure -> locales rendered; a mail that fails to render is left out.
    """
    source = published(services)
    playbook = source.loaded.playbook
    rendered: dict[str, tuple[str, ...]] = {}
    for path, measure in playbook.measures.items():
        if measure.purpose == "transactional":
            rendered[path] = tuple(locale for locale in playbook.locales if _can_render(source, path, locale))
    return rendered


def _can_render(source: PreviewSource, path: str, locale: str) -> bool:
    try:
        mail = compose_preview(source, path, PreviewOptions(locale=locale))
        render(mail.loaded.templates, mail.frozen)
    except (TemplateFault, InputError):
        return False
    return True
