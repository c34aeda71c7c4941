"""Database servers in containers: their files are copied while the container is paused for a moment."""
