"""Database servers in containers and services: their files are copied while they are paused for a moment."""
