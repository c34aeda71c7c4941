"""Package managers, one file each."""
