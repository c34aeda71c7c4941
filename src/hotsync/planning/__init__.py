"""Facts in, plan out: pure functions that cannot touch the machine."""
