"""What people look at: generated text, the report, and later a server and a live board."""
