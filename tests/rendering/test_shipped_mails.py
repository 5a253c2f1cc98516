"""The shipped programme: each of its mails renders, equal on both paths, and is read back."""

from pathlib import Path

from nurture.domain.measure import MailStep
from nurture.playbook import build, load_files
from nurture.rendering.render import render, render_parts
from nurture.rendering.sample import sample_context
from nurture.rendering.templates import Templates
from tests.rendering.mails import read

SHIPPED = Path(__file__).parents[2] / "email_templates"


def test_every_shipped_mail_renders_from_the_html_cache() -> None:
    files = load_files(SHIPPED)
    playbook = build(files).playbook
    templates = Templates.of(files, playbook)
    count = 0
    for measure_path, mail, variant, locale in templates.mails():
        measure = playbook.measures[measure_path]
        step = next(step for step in measure.steps if isinstance(step, MailStep) and step.mail == mail)
        context = sample_context(
            templates,
            measure=measure.path,
            step=step.id,
            mail=mail,
            variant=variant,
            locale=locale,
            purpose=measure.purpose,
            topic=measure.topic,
        )
        assert read(render(templates, context))["Subject"]
        assert render_parts(templates, context) == render_parts(templates, context, reference=True)
        count += 1
    assert count > 40
    assert all(templates.html_cache._entries.values())
