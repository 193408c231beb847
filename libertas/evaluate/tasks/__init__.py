"""What a model is asked: one module per task, each turning held-out documents into what `score` can answer."""
