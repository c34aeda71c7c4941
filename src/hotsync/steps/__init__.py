"""What can be done, as values: each step says what it does and calls one method of one port."""
