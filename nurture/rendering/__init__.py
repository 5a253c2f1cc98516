"""From a template and frozen values to the exact bytes of a mail. Knows no table and no clock."""
