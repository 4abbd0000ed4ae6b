"""The build farm: rebuild some models' engines for some targets, side by side, and list what is stale and why."""
