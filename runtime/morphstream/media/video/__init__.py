"""Read and write videos by PyAV, which is imported here alone: `pip install morphstream[video]`."""
