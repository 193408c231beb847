"""Mixing: documents and what was said of them -> one corpus with the parts train, validation and test."""
