"""The live swap: from a camera, a file or an address to a window, a stream or a web page."""
