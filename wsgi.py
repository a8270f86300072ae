"""The WSGI application. Importing this loads the model: only the process that serves may do it."""

from service.hosting import startup

with startup.loading():
    from service.app import create_app

    app = create_app()
