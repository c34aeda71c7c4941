"""Our memory on disk: settings, role, peer, runs."""
