"""Duplicates: which documents, paragraphs and spans of some corpora occur in them before."""
