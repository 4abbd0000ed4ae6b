"""Makes the site of the documentation: ``python -m website``, as ``make docs`` runs it."""
