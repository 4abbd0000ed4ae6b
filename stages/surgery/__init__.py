"""Graph edits of `prepare`, a file per edit, each a pure function from model to model.

Conventions:

* An edit doesn't modify its argument: it returns an edited copy, or the argument itself if there is nothing to do.
* The input of a prepared model is uint8 NHWC BGR crops. Its output is uint8 NHWC BGR crops, masks, labels or numbers.
  Normalisation and channel order are nodes of its graph, which computes N rows at once.
"""
