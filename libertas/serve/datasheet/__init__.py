"""The datasheet: facts of a corpus as a page, as Markdown and as Croissant metadata."""
