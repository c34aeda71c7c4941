"""A SLAVE becomes MASTER: what is read before, and the ports that a promotion needs."""
