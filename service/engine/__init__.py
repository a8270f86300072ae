"""Threads and queues around a model. Knows no HTTP, no torch, no OpenVINO and no uWSGI."""
