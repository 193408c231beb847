"""From documents to a corpus: rules that keep or drop with a reason, duplicates, and the mixture."""
