"""From published archives to verified engines on this machine: probe, select, fetch, keep.

Imports `morphstream.artifact` and the standard library only, and the GPU driver's binding when it probes.
"""
