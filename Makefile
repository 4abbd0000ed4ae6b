# `make demo` and `make test` first set up .venv.
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test check hub setup lock clean

demo: setup
	python -m stages.demo

test: setup
	python -m pytest -n 2 --dist loadgroup --max-worker-restart 0 # a worker that dies ends the run, and names its test

check: setup
	ruff check .
	ruff format --check .
	mypy
	lint-imports

hub: setup # serve a hub on loopback that has the kit published, for manual tests
	dvc repro
	python -m tests.loopback

setup: $(VENV)/ready

$(VENV)/ready: requirements.lock tests/loopback/client-1.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "expected Python 3.11 or newer, seen %d.%d; run: make PYTHON=python3.11" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	python -m pip install --quiet --require-hashes -r requirements.lock
	python -m pip install --quiet --no-deps --no-build-isolation --editable .
	python -m pip install --quiet --require-hashes --no-deps --upgrade --target $(VENV)/client-1 -r tests/loopback/client-1.lock
	python -m compileall -q stages runtime
	python -c 'from pathlib import Path; from stages.kit.detector import package; package(Path(".cache"))'
	touch $@

lock: # run it after a change of pyproject.toml; needs uv
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra dev --no-emit-package morphstream --no-header pyproject.toml -o requirements.lock

clean:
	rm -rf build .dvc/cache .dvc/tmp store
