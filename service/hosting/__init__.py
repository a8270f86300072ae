"""This process and its server: uWSGI, signals, systemd.

Knows no dialect and no model. Only ``hosting.uwsgi`` imports uwsgi.
"""
