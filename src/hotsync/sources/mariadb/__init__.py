"""MariaDB and MySQL: found, asked, dumped, loaded, streamed."""
