"""Install engines into a store, whatever way they come."""

from collections.abc import Collection

from morphstream.artifact.vocabulary import MANIFEST
from morphstream.source.fetch import Delivery
from morphstream.store.installed import Installed
from morphstream.store.store import Store
from morphstream.store.transaction import select_groups


def install(store: Store, delivery: Delivery, *, groups: Collection[str] | None = None) -> bool:
    """Install engines of some groups, or of all, in the place of those before; on any error those stay.

    The delivery is opened under the store's lock: of several processes one opens it, and the others find its files. It
    isn't opened where the store has all of them in a generation, as after a step back. Models that were added on demand
    and aren't in it stay. Older generations are removed, except those that are held.

    Returns:
        Whether they were installed; False where they had been already, and nothing was touched.
    """
    if _has(store.find(), delivery, groups):
        return False
    with store.transaction() as transaction:
        if _has(transaction.current, delivery, groups):  # another process was faster
            return False
        selection = select_groups(transaction.open(delivery), groups, transaction.current, delivery)
        transaction.switch(transaction.assemble(selection, delivery.fetch), selection)
    return True


def _has(installed: Installed | None, delivery: Delivery, groups: Collection[str] | None) -> bool:
    """Return whether a store has some groups of a delivery, or all, by sizes."""
    if installed is None or not installed.has(groups):
        return False
    if delivery.files:
        is_same = installed.publication == delivery.files[MANIFEST]
        return is_same and installed.is_trusted >= delivery.is_trusted
    return installed.cache_key == delivery.cache_key
