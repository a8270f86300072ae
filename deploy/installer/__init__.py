"""The parts of deploy/install: the system's Python and its standard library run them.

machine.py        changes to this machine, printed and undone on failure
interrupts.py     Ctrl-C, a kill and a lost connection
lock.py           one run at a time
release.py        a source tree, and the copy of it that runs
etc.py            the files of a release in /etc
state.py          PREFIX/state.json
service.py        systemd and nginx
installation.py   install, roll back, uninstall
"""
