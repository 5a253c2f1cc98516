"""Build the frozen values of `nurture.domain` from the files' models; unknown names and types are faults."""
