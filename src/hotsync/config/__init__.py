"""The settings, as values: the format they are written in, and what each of them means."""
