"""Where artifacts come from, and how they are read from there: bounded, checked and verified."""
