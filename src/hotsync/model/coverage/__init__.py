"""What of a server nothing protects, decided."""
