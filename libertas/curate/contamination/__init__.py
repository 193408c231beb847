"""Decontamination: which documents of a corpus hold questions that a model will be examined with."""
