"""Text and scores -> their origin: documents, training steps, bytes of the archive."""
