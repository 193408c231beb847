"""Model -> records and scores: bits per byte, multiple choice under several protocols, contamination beside each."""
