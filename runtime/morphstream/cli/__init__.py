"""The command `morphstream`, a file a command: its options, and what it runs.

Conventions, in every file of a command:

* ``add`` declares the command and its options; ``run`` does what they ask for and returns the exit status.
* An option is checked where it is read, by its ``type``, so that a ValueError of the work itself is a bug and keeps its
  traceback. `UsageError` is wrong usage that only several options together tell.
* A command with ``--json`` prints one JSON object, refused or not. What is known before a refusal is what the function
  ``options.so_far`` returns, where ``run`` sets one; its message is added.
* What a command needs is imported when it runs, so that ``--help`` is quick.
"""
