"""Accounts and their numbers on the SLAVE, decided."""
