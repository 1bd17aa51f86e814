"""Where a cache keeps its values."""
