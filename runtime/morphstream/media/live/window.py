"""Show frames in a window, by Tk, as a sink."""

import gc
import os
import sys
from importlib.util import find_spec

import cv2
from PIL import Image, ImageTk

from morphstream.artifact.errors import VideoError
from morphstream.closing import Closing
from morphstream.media.live.items import LiveFrame, Sound

_TITLE = "morphstream: faces are swapped"


def check_window() -> None:
    """Check that there is a Tk to show windows, and a display.

    Raises:
        VideoError: Python came without, or there is no display.
    """
    if find_spec("tkinter") is None or find_spec("_tkinter") is None:
        raise VideoError("window: expected Tk, seen a Python without; install python3-tk, or name another output")
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        raise VideoError("window: expected a display, seen no DISPLAY that names one; set it, or name another output")


class Window(Closing):
    """A window, used and closed by the thread that opened it; its size is the frames'."""

    def __init__(self) -> None:
        """Open it.

        Raises:
            VideoError: There is no display.
        """
        import tkinter  # here, as not every Python has it

        self._is_open, self._failure = True, tkinter.TclError
        try:
            self._root = tkinter.Tk(className="morphstream")
        except tkinter.TclError as error:
            raise VideoError(f"window: expected a display, seen none ({error}); name another output") from None
        self._root.title(_TITLE)
        self._root.protocol("WM_DELETE_WINDOW", self._note_close)
        for key in ("<Escape>", "q"):
            self._root.bind(key, lambda _: self._note_close())
        self._label = tkinter.Label(self._root, borderwidth=0, background="black")
        self._label.pack(expand=True)
        self._image: ImageTk.PhotoImage | None = None

    def put(self, item: LiveFrame | Sound | None) -> bool:
        """Show a frame, and see what the user does; return False once the window was closed."""
        if isinstance(item, Sound):
            return self._is_open
        try:
            if item:
                self._show(item)
            self._root.update()
        except self._failure as error:
            raise VideoError(f"window: expected its display, seen it gone ({error}); name another output") from None
        return self._is_open

    def close(self) -> None:
        """Close it."""
        try:
            self._root.destroy()
        except self._failure:  # the display is gone
            self._is_open = False
        del self._root, self._label, self._image
        gc.collect()  # Tcl ends the process where another thread frees what is its own

    def _note_close(self) -> None:
        self._is_open = False

    def _show(self, item: LiveFrame) -> None:
        picture = Image.fromarray(cv2.cvtColor(item.frame, cv2.COLOR_BGR2RGB))
        if self._image and (self._image.width(), self._image.height()) == picture.size:
            self._image.paste(picture)
            return
        self._image = ImageTk.PhotoImage(picture, master=self._root)
        self._label.configure(image=self._image)
