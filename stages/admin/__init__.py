"""The admin page: what is built, stale and published, and jobs that change it, for several people at once."""
