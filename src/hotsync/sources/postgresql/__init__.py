"""PostgreSQL: found, asked, dumped, loaded, streamed."""
