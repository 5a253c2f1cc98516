"""`nurture`: a self-hosted email lifecycle engine. Start at `docs/flow.md`."""

__version__ = "0.1.0"
