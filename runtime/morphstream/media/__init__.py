"""Pictures in and out, marked as synthetic."""
