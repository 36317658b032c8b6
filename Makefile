# Each target does its own set-up: a virtual environment in .venv, from the package registry alone.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-slow fuzz mutation bench gallery notebooks lint wheel clean

# make demo                                         drawn scenes and the bundled network
# make demo PHOTO=cat.jpg WEIGHTS=squeezenet.h5     any weights file that scripts/convert_weights.py reads will do
demo: .venv/core
	@case "$(WEIGHTS)" in \
		""|*.h5) ;; \
		*) mkdir -p build && $(BIN)/python scripts/convert_weights.py "$(WEIGHTS)" -o build/demo.h5 ;; esac
	$(BIN)/npgrad demo $(if $(PHOTO),"$(PHOTO)") $(if $(WEIGHTS),--weights $(if $(filter %.h5,$(WEIGHTS)),"$(WEIGHTS)",build/demo.h5))

# Everything the README claims, against torch and Captum.
test: .venv/dev
	$(BIN)/python -m pytest

# What takes minutes: retraining, twice, to the same bits.
test-slow: .venv/dev
	$(BIN)/python -m pytest -m slow

# Every reader of strangers' files, so many seconds each, coverage-guided; make fuzz SECONDS=600 READERS="caffe npz"
SECONDS ?= 60
fuzz: .venv/fuzz
	$(BIN)/python -m fuzz --seconds $(SECONDS) $(if $(READERS),--reader $(READERS))

# Tests of the tests: 40 changed lines of each layer, tape, loss and reader, and what no test sees of it, 15 minutes;
# make mutation MUTATION= tries all 8,000; make mutation MUTATION=--help says what else there is
MUTATION ?= --sample 40
mutation: .venv/mutation
	$(BIN)/python -m tests.mutants $(MUTATION)

# npgrad, torch, Captum and ONNX Runtime taking turns, 40 minutes; make bench BENCH=--help says what else there is
bench: .venv/bench
	$(BIN)/python -m benchmarks $(BENCH)

# The README's images, and the notebooks with their outputs and their student edition.
gallery: .venv/core
	$(BIN)/npgrad demo -o docs/gallery

notebooks: .venv/dev
	$(BIN)/python scripts/make_notebooks.py --run

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

wheel: .venv/dev
	$(BIN)/python -m build --wheel

clean:
	rm -rf .venv build dist *.egg-info

.venv/core: setup.cfg pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) --editable .
	touch $@

.venv/dev: .venv/core
	$(INSTALL) --editable ".[dev]"
	touch $@

.venv/fuzz: .venv/dev
	$(INSTALL) --editable ".[fuzz]"
	touch $@

.venv/mutation: .venv/dev
	$(INSTALL) --editable ".[mutation]"
	touch $@

.venv/bench: .venv/core
	$(INSTALL) --editable ".[bench]"
	touch $@
