"""The oracle: a second implementation of the rules, written from docs/playbook.md, against the engine."""
