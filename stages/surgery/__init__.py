"""Graph edits of `prepare`, a file an edit, each a pure function from model to model.

Conventions:

* An edit leaves the model it is given as it was, and returns a copy; or that model, where there is nothing to do.
* A prepared model takes uint8 NHWC BGR crops and gives uint8 NHWC BGR crops, masks, labels or numbers;
  normalisation and channel order are nodes of its graph, which calculates on N rows at once.
"""
