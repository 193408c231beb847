"""Corpus -> tokens: the tokenizer, the store that remembers documents, and the order in which training reads it."""
