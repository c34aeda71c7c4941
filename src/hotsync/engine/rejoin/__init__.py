"""An old MASTER comes back as SLAVE, and what only it had is kept."""
