"""What this machine is, which engines it can run, and what keeps it from running others."""
