"""A decoder-only transformer, its sizes, its cost, and its exchange with other formats."""
