"""Faces: find, describe, swap and paste them, frame by frame.

Conventions, here and in every module of this folder:

* A frame is ``(H, W, 3)`` uint8, BGR, origin at the centre of the top-left pixel; a crop is one too.
* Points are ``(x, y)`` in pixels; sizes are ``(width, height)``; boxes are ``(left, top, right, bottom)``.
* An affine is ``(2, 3)`` float64 and maps frame coordinates to crop coordinates.
* A mask is ``(H, W)`` float32, 0 keeps the frame, 1 shows the crop; a layer is a crop times alpha, and alpha,
  ``(H, W, 4)`` uint8.
* Crops and masks of several faces come as rows of one array, in the order of the faces.
* Arrays that are passed in are not modified.
"""
