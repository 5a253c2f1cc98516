"""The checks of templates before they are published: names, MJML, one rendering from the sample."""
