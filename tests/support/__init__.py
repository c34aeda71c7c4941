"""What the tests share: order, seed, rings, counts, the watch over unit tests, the search for leaks."""
