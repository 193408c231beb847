"""Fixtures of the trace room."""

from small_life import life

__all__ = ["life"]
