"""One readable transformer for many published ones: its shape, its sizes, its cost, and how it continues a text."""
