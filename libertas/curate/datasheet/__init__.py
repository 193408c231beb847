"""The facts of a corpus: what is in it, what was left out of it and why, what stands beside what."""
