"""Personal data in texts: found as spans, written beside the documents, replaced when they are mixed."""
