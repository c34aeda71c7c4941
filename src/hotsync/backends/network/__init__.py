"""The systems that configure a host's network, one file each: available, read, parse, render, standby, activate."""
