"""publish: bring what build/ holds to the Hub, in one commit on top of what others have published there."""
