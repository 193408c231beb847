"""Evaluation items in the training documents: which, where, and what that does to a score."""
