"""The code blocks of README and docs/ run as a reader would run them: `blocks` finds them, `place` is where."""
