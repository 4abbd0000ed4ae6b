"""Graph edits of `prepare`, a file an edit, each a pure function from model to model.

Conventions:

* An edit copies the model it is given and returns the copy.
* A prepared model takes uint8 NHWC BGR crops and gives uint8 NHWC BGR crops, masks, labels or numbers;
  normalisation and channel order are nodes of its graph.
"""
