"""Many configurations: which points, processes that work on them, and their results as one table."""
