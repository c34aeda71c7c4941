"""The bridge: reads facts, makes ports real, executes plans."""
