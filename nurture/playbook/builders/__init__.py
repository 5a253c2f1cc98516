"""From models of the files to the frozen values of `nurture.domain`; unknown names and types become faults."""
