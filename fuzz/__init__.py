"""fuzz: give readers of files from elsewhere bytes that a machine makes up, led by which code they reach.

``make fuzz`` runs each target; docs/fuzzing.md says how. Tests replay what is in fuzz/corpus/.
"""
