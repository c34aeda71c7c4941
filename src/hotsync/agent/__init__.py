"""hotsyncd, on both hosts: who may connect, what may be asked, the heartbeat, and the confined receiver of files."""
