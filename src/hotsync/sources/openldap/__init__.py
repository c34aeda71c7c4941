"""OpenLDAP: read by its own tools, loaded at rest."""
