"""The service as it is, and one more route that tells which modules its worker has loaded."""

import json
import sys

from wsgi import app as served


def app(environ, start_response):
    if environ["PATH_INFO"] != "/modules":
        return served(environ, start_response)
    start_response("200 OK", [])
    return [json.dumps({name: module is not None for name, module in sys.modules.items()}).encode()]
