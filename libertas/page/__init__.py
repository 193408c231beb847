"""Pages that are one file and ask the network for nothing."""
