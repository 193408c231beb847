"""Tokens -> a run: the loop, its checkpoints, and its journal."""
