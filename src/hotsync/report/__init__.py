"""What happened, as people get it: mail now, metrics later."""
