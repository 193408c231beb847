"""How much of a score is the way of asking."""
