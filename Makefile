# `make demo` and `make test` first set up .venv; `make test` adds what the tests need to what the pipeline does.
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# uv has its own settings; an index that pip is told of is used by both.
INDEX := $(or $(UV_DEFAULT_INDEX),$(PIP_INDEX_URL),$(shell $(PYTHON) -m pip config get global.index-url 2>/dev/null))
INSTALL = python -m uv pip install --quiet --require-hashes --compile-bytecode $(addprefix --default-index ,$(INDEX))

.PHONY: demo test check docs docs-test fuzz hub setup lock clean

demo: $(VENV)/pipeline
	python -m stages.demo

test: setup
	python -m pytest -n 3 --maxschedchunk 1 --max-worker-restart 0 # a worker that dies ends the run, and names its test

check: setup
	ruff check .
	ruff format --check .
	mypy
	lint-imports

docs: setup # the site of the documentation, build/site/index.html
	python -m website

docs-test: setup # run the commands of every page
	python -m pytest -n 2 --maxschedchunk 1 -m docs tests/docs

SECONDS ?= 60
fuzz: setup # give each reader made-up bytes for SECONDS, or one of them: make fuzz TARGET=archive SECONDS=600
	python -m fuzz "$(TARGET)" $(SECONDS)

hub: setup # serve a hub on loopback that has the kit published, for manual tests
	dvc repro
	python -m tests.loopback

setup: $(VENV)/ready

$(VENV)/pipeline: requirements/setup.lock requirements/pipeline.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "expected Python 3.11 or newer, seen %d.%d; run: make PYTHON=python3.11" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	echo 'relocatable = true' >> $(VENV)/pyvenv.cfg # uv then writes scripts that work in a folder that was moved, too
	python -m pip install --quiet --require-hashes -r requirements/setup.lock
	$(INSTALL) -r requirements/pipeline.lock
	python -m uv pip install --quiet --no-deps --no-build-isolation --editable .
	echo ../../../../runtime > "$$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/_morphstream.pth"
	python -m compileall -q stages runtime
	python -c 'from pathlib import Path; from stages.kit.detector import package; package(Path(".cache"))'
	touch $@

$(VENV)/ready: $(VENV)/pipeline requirements/dev.lock tests/loopback/client-1.lock
	$(INSTALL) -r requirements/dev.lock
	$(INSTALL) --no-deps --upgrade --target $(VENV)/client-1 -r tests/loopback/client-1.lock
	touch $@

COMPILE = python -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

lock: $(VENV)/pipeline # run it after a change of pyproject.toml
	$(COMPILE) --extra dev --no-emit-package morphstream pyproject.toml -o requirements/dev.lock
	$(COMPILE) --extra pipeline --no-emit-package morphstream -c requirements/dev.lock pyproject.toml -o requirements/pipeline.lock
	echo uv | $(COMPILE) - -o requirements/setup.lock

clean:
	rm -rf build .dvc/cache .dvc/tmp store
