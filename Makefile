# From nothing: Python >= 3.11 and make. uv is used when it is on PATH, else venv + pip.
.DELETE_ON_ERROR:
.PHONY: conformance canary fuzz sbom demo test check fix bench fleet-demo soak lock clean deps
PY      ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
UV      := $(shell command -v uv 2>/dev/null)
WORKERS ?= 4
SOURCES := $(shell find server providers routing -type f -not -name '*.pyc')
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export UV_LINK_MODE ?= copy

ifneq ($(UV),)
venv    = $(UV) venv -q --seed --allow-existing -p $(PY) $(VENV)
install = $(UV) pip install -q -p $(VENV) --require-hashes
wheel   = $(UV) pip install -q -p $(VENV) --no-deps --offline --reinstall
compile = --compile-bytecode
else
venv    = $(PY) -m venv $(VENV)
install = $(BIN)/python -m pip install -q --no-input --no-deps --require-hashes
wheel   = $(BIN)/python -m pip install -q --no-input --no-deps --no-index --force-reinstall
endif

demo: $(VENV)/.run ## the main job, on the simulator, through a real MCP client
	@$(BIN)/plenum demo
test: $(VENV)/.test $(VENV)/.run ## the whole suite
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not soak"
soak: $(VENV)/.test $(VENV)/.run ## long runs
	@$(BIN)/python -m pytest -m soak
canary: $(VENV)/.test $(VENV)/.run ## the whole suite with canary keys, then a search for them in all it left
	@$(BIN)/python -m tests.server.security.canary
check: $(VENV)/.test ## format, lint, types, layers, duplication
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache
	$(BIN)/jscpd --min-tokens 60 --threshold 1 --reporters threshold,silent server providers routing
fuzz: $(VENV)/.test ## every border by coverage for 60 s; skipped with a word where atheris has no wheel
	@$(BIN)/python -m pip install -q --no-input --no-deps --only-binary :all: --require-hashes -r requirements/fuzz.txt || true
	@$(BIN)/python -m tests.fuzz 60
sbom: $(VENV)/.test ## what Plenum stands on, as CycloneDX JSON
	@$(BIN)/python packaging/sbom.py requirements/run.txt dist/plenum.cdx.json
conformance: $(VENV)/.test ## the official MCP suite against our app; the table goes to docs/conformance.md
	@$(BIN)/python tests/conformance/run.py
fix: $(VENV)/.test
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .
bench: $(VENV)/.test $(VENV)/.run
	@$(BIN)/python -m bench
fleet-demo: $(VENV)/.test $(VENV)/.run ## Redis, store, a provider and three replicas, put to the test without containers
	@$(BIN)/python -m tests.services.fleet_demo

$(BIN)/python:
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PY=python3.12")'
	$(venv)
$(VENV)/.deps: requirements/build.txt requirements/run.txt | $(BIN)/python
	$(install) $(compile) -r requirements/build.txt -r requirements/run.txt
	@touch $@
$(VENV)/.run: pyproject.toml README.md $(SOURCES) $(VENV)/.deps
	@rm -rf $(VENV)/wheel
	@$(BIN)/python -m hatchling build -t wheel -d $(VENV)/wheel >/dev/null
	$(wheel) $(VENV)/wheel/*.whl
	@touch $@
$(VENV)/.test: requirements/test.txt $(VENV)/.deps
	$(install) -r requirements/test.txt
	@touch $@
deps: $(VENV)/.test
lock: compile_ = uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
lock: | $(VENV)/.test # uv comes with the test group; the files it writes name no host
	PATH="$(BIN):$$PATH" $(compile_) pyproject.toml -o requirements/run.txt
	PATH="$(BIN):$$PATH" $(compile_) --group build -c requirements/run.txt -o requirements/build.txt
	PATH="$(BIN):$$PATH" $(compile_) pyproject.toml --extra fleet -c requirements/run.txt -c requirements/test.txt -o requirements/fleet.txt
	PATH="$(BIN):$$PATH" $(compile_) pyproject.toml --all-extras --group test -c requirements/run.txt -c requirements/build.txt -o requirements/test.txt
	PATH="$(BIN):$$PATH" $(compile_) --group fuzz -o requirements/fuzz.txt
clean:
	rm -rf $(VENV)
