"""The SLAVE's store: what arrives, the last generation as plain files, and the way back in time."""
