"""sign: keys, root documents, and the signed metadata of a publication, after The Update Framework."""
