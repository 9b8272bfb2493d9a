# Everything a newcomer needs: `make run` shows the product at work, `make test` proves it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PAGE := admin-frontend/dist/index.html
PAGE_SOURCES := $(shell find admin-frontend \( -name node_modules -o -name dist -o -name build -o -name test-results \) -prune -o -type f -print 2>/dev/null)
# npm alone is not enough: Debian 12 brings Node.js 18, by which the page cannot be built.
NODE_WILL_DO := npm --version >/dev/null 2>&1 && node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'

.DEFAULT_GOAL := help
.PHONY: help setup page run check test soak bench docs manifests clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY)  ## .venv with everything to run and test; SDK and command line installed editable

$(READY): pyproject.toml sdk/pyproject.toml cli/pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed: make PYTHON=python3.11 setup"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV) || \
		{ test "$$(id -u)" = 0 && apt-get install -y -qq python3-venv && $(PYTHON) -m venv --clear $(VENV); } || \
		{ echo "python3 cannot make a virtual environment; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[local,dev,chart,load]' -e ./sdk -e './cli'
	@touch $@

page: $(PAGE)  ## the admin page, built with Node.js 20.19 or later; left out where there is none

$(PAGE): $(PAGE_SOURCES)
	@if $(NODE_WILL_DO); then cd admin-frontend && npm ci --silent --no-audit --no-fund && npm run --silent build -- --logLevel warn; \
		else echo "the admin page is left out: it needs Node.js 20.19 or later to be built"; fi

run: $(READY)  ## the whole product locally, at work on a real transcode; Ctrl-C stops it
	@$(MAKE) --silent --no-print-directory page || echo "the admin page could not be built (see above); going on without"
	@$(BIN)/videosite-realtime up --demo

check: $(READY) page  ## lint, format, types and layers
	$(BIN)/python tests/suites.py check

test: $(READY) page  ## check, then all suites, one after another; a closing line with the counts
	$(BIN)/python tests/suites.py all

soak: $(READY)  ## everything breaks for MINUTES (5), by the schedule of SEED (at random); a report of what was lost
	$(BIN)/python -m tests.faults --minutes $(or $(MINUTES),5) $(if $(SEED),--seed $(SEED))

bench: $(READY)  ## what one core does at most, beside what others would write: a table; OPTIONS="--connections 5000"
	$(BIN)/python -m loadtests.bench $(OPTIONS)

docs: $(READY)  ## regenerate what is generated: pages of settings and metrics, dashboards, .env.example, message types, the chart's README
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/manifests.py

manifests: $(READY)  ## render the chart into k8s/
	$(BIN)/python docs/manifests.py

clean:  ## remove what set-up and tests made
	rm -rf $(VENV) admin-frontend/node_modules admin-frontend/dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .run
