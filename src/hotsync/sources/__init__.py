"""What the MASTER collects because it must not be copied live, and how the SLAVE loads it again."""
