"""What this machine is, which engines it can run, and what stands in their way."""
