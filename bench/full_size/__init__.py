"""Build the whole cache from models of full size: the published architectures, with random weights."""
