"""The build farm: rebuild some models' engines for some targets, side by side, and say what is stale and why."""
