"""MJML that MRML would drop without a word: unknown components, unknown attributes, includes."""

import re
from collections.abc import Iterator
from typing import Final

from nurture.rendering.errors import TemplateProblem

_JINJA: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|<!--.*?-->", re.DOTALL)
_TAG: Final = re.compile(r"<(mj[a-z-]*)((?:\s+[a-zA-Z-]+\s*=\s*(?:\"[^\"]*\"|'[^']*')|\s+)*)", re.DOTALL)
_ATTRIBUTE: Final = re.compile(r"([a-zA-Z-]+)\s*=\s*(?:\"[^\"]*\"|'[^']*')")

# MJML 4's components, each with `mj-` before it, and the attributes that any of them knows.
_NAMES: Final = """
    accordion accordion-element accordion-text accordion-title all attributes body breakpoint button carousel
    carousel-image class column divider font group head hero image navbar navbar-link preview raw section social
    social-element spacer style table text title wrapper
"""
_KNOWN: Final = """
    align alt aria-label background background-color background-height background-position background-position-x
    background-position-y background-repeat background-size background-url background-width border border-bottom
    border-color border-left border-radius border-right border-style border-top border-width cellpadding cellspacing
    color container-background-color css-class dir direction fluid-on-mobile font-family font-size font-style
    font-weight full-width hamburger height href href-target ico-align ico-close ico-color ico-font-family
    ico-font-size ico-line-height ico-open ico-padding ico-padding-bottom ico-padding-left ico-padding-right
    ico-padding-top ico-text-decoration ico-text-transform icon-align icon-height icon-padding icon-position icon-size
    icon-unwrapped-alt icon-unwrapped-url icon-width icon-wrapped-alt icon-wrapped-url id inline
    inner-background-color inner-border inner-border-bottom inner-border-left inner-border-radius inner-border-right
    inner-border-top inner-padding lang left-icon letter-spacing line-height max-width mj-class mode name owa padding
    padding-bottom padding-left padding-right padding-top rel right-icon role sizes src srcset table-layout target
    tb-border tb-border-radius tb-hover-border-color tb-selected-border-color tb-width text-align text-decoration
    text-padding text-transform thumbnails thumbnails-src title usemap vertical-align width
"""
_COMPONENTS: Final = frozenset({"mjml", *(f"mj-{name}" for name in _NAMES.split())})
_ATTRIBUTES: Final = frozenset(_KNOWN.split())


def lint(path: str, source: str) -> Iterator[TemplateProblem]:
    """Yield what MRML would ignore in an MJML source, layouts included."""
    # Jinja's pieces go, their lines stay.
    bare = _JINJA.sub(lambda found: "\n" * found[0].count("\n"), source)
    for found in _TAG.finditer(bare):
        line = bare.count("\n", 0, found.start()) + 1
        name = found[1]
        if name == "mj-include":
            yield TemplateProblem(
                path, line, "<mj-include> is not followed", 'write {% include "..." %} instead'
            )
        elif name not in _COMPONENTS:
            yield TemplateProblem(path, line, f"no component <{name}>", "it would vanish; see MJML's list")
        for attribute in _ATTRIBUTE.findall(found[2]):
            if attribute not in _ATTRIBUTES:
                change = "it would vanish; see MJML's list"
                yield TemplateProblem(path, line, f"<{name}> with unknown attribute `{attribute}`", change)
