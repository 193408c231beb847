"""Artifacts, their manifests, and the checks that make a run a proof."""
