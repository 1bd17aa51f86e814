"""Speed, always as ratios in one run: labkit beside its peers and beside raw redis-py."""
