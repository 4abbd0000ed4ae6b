"""What is shown of the admin page, a subject a module: each has ``routes(admin)``, which returns Starlette's routes."""
