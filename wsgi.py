"""The WSGI application. Importing this loads the model: only the process that serves may do it."""

import logging

from service import create_app, forking

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")

with forking.loading():
    app = create_app()
