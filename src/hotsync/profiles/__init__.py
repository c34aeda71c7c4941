"""What HotSync knows of applications: TOML documents that say, and never do."""
