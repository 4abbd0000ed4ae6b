"""fuzz: give readers of files from elsewhere bytes that a machine makes up, led by which code they reach.

``make fuzz`` runs each target; docs/adr/0043-fuzzing.md says why. Tests replay what is in fuzz/corpus/.
"""
