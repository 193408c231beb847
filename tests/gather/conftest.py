"""Fixtures of the gather room."""

from website import site

__all__ = ["site"]
