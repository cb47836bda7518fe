"""Labels: what happened after each bar, and how much of it each label shares with its neighbours."""
