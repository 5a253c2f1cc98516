"""The cache of recorded templates, in front of the reference path. The only entrance is `cached_render`.

A template runs once with traced values (`values`, `sandbox`); `record` keeps what it printed and which questions it
asked about the values, `cache` finds a recording again by the answers. NURTURE_TEMPLATE_CACHE=off turns it off; the
mails are the same, byte for byte.
"""
