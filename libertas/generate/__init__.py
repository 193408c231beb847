"""A model -> texts: one token after another, from a cache of keys and values."""
