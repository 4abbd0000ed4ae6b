"""rebuild: build what is published again in a clean folder, compare every digest, and name what differs first.

Engines for CPUs and for TensorRT for RTX are built bit for bit; those of classic TensorRT, whose kernels are chosen by
timing on a GPU, are compared by recipe.
"""
