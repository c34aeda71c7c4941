"""One file a command: facts, plan, execute, report."""
