# Each target sets up what it needs: a virtual environment in .venv, from the package registry alone.
PYTHON ?= python3
SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := .venv/$(SCRIPTS)
PIP_INSTALL := python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
INSTALL := $(BIN)/$(PIP_INSTALL)

.PHONY: demo test test-all test-oldest test-slow test-kernels fuzz mutation bench gallery notebooks lint types docs docs-check wheel clean

# Sets up .venv, says how long the rest takes, and makes a page of images: well under a minute of computing.
# make demo                                         drawn scenes and the bundled network
# make demo PHOTO=cat.jpg WEIGHTS=squeezenet.h5     any weights file that `npgrad convert` reads
demo: .venv/core
	@case "$(WEIGHTS)" in \
		""|*.h5) ;; \
		*) mkdir -p build && $(BIN)/npgrad convert "$(WEIGHTS)" -o build/demo.h5 ;; esac
	$(BIN)/npgrad demo $(if $(PHOTO),"$(PHOTO)") $(if $(WEIGHTS),--weights $(if $(filter %.h5,$(WEIGHTS)),"$(WEIGHTS)",build/demo.h5))

# What a contributor runs: every public function, every layer against torch, every planted error; two minutes.
# Then everything but the slow tests, twelve minutes. PYTEST has more options: make test PYTEST="-x tests/io"
ONE_THREAD := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
# Compiled modules are kept, also where the environment says not to: tests start hundreds of programs.
export PYTHONDONTWRITEBYTECODE :=
PYTEST ?=
test: .venv/dev
	$(ONE_THREAD) $(BIN)/python -m pytest -n auto $(PYTEST)

test-all: .venv/dev
	$(ONE_THREAD) $(BIN)/python -m pytest -n auto -m "not slow" $(PYTEST)

# `make test` in a second environment, .venv-oldest, with the oldest Python and libraries that setup.cfg allows;
# make test-oldest OLDEST=/path/to/python
OLDEST ?= python3.10
test-oldest: .venv-oldest/test
	$(ONE_THREAD) .venv-oldest/$(SCRIPTS)/python -m pytest -n auto $(PYTEST)

# Tests that take minutes, such as training twice with the same result, and every network of the real torchvision.
test-slow: .venv/dev .venv-torchvision
	$(BIN)/python -m pytest -m slow

# Tests that depend on rounding, with BLAS kernels of other processors (where this one allows) and 1 and 2 threads.
KERNELS ?= Haswell Zen SkylakeX Prescott
test-kernels: .venv/dev
	NPGRAD_TEST_CORETYPES="$(KERNELS)" $(BIN)/python -m pytest -m slow tests/package/test_kernels.py

# Coverage-guided fuzzing of every reader of untrusted files, SECONDS each; make fuzz SECONDS=600 READERS="caffe npz"
SECONDS ?= 60
fuzz: .venv/fuzz
	$(BIN)/python -m fuzz --seconds $(SECONDS) $(if $(READERS),--reader $(READERS))

# Mutation testing: 40 mutants per file of layers, tape, losses and readers, and those that no test notices; 15 minutes;
# make mutation MUTATION= tries all 8,000; make mutation MUTATION=--help lists the options
MUTATION ?= --sample 40 --all
mutation: .venv/mutation
	$(BIN)/python -m tests.mutants $(MUTATION)

# npgrad, torch, Captum and ONNX Runtime in turns, 45 minutes; make bench BENCH=--help lists the options, such as
# make bench BENCH="--only gradient,gradient-busy --threads 2 --rounds 3"
bench: .venv/bench
	$(BIN)/python -m benchmarks $(BENCH)

# The images of the demo in the documentation, and the notebooks with their outputs and their student edition.
gallery: .venv/core
	$(BIN)/npgrad demo -o docs/gallery

notebooks: .venv/dev
	$(BIN)/python scripts/make_notebooks.py --run

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Types, as mypy --strict sees them in a user's program; then docstrings, words, and what the README says.
types: .venv/dev
	$(BIN)/python -m pytest -m "not slow" tests/package/test_types.py

docs-check: .venv/dev
	$(BIN)/python -m pytest -m "not slow" tests/package/test_words.py tests/package/test_public.py

# The documentation, as pages in build/docs that open from disk; warnings are errors, missing links among them.
docs: .venv/docs
	rm -rf build/docs
	$(BIN)/python -m sphinx -b html -E -W --keep-going -n -q -c docs -d build/doctrees . build/docs

wheel: .venv/dev
	$(BIN)/python -m build --wheel

clean:
	rm -rf .venv .venv-oldest .venv-torchvision build dist *.egg-info

.venv/core: setup.cfg pyproject.toml constraints.txt
	@echo "Setting up the environment .venv once: NumPy, SciPy, Pillow, h5py (260 MB on disk, about a minute)"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) --editable .
	touch $@

# torchvision and the torch that it belongs to, which is another than the tests' own
.venv-torchvision:
	$(PYTHON) -m venv $@
	$@/$(SCRIPTS)/pip install torch==2.14.1 torchvision==0.29.1 onnx==1.23.2 onnxscript==0.7.2 || (rm -rf $@; false)

.venv/dev: .venv/core
	$(INSTALL) --editable ".[dev]"
	touch $@

.venv/docs: .venv/core
	$(INSTALL) --editable ".[docs]"
	touch $@

.venv-oldest/test: setup.cfg pyproject.toml constraints.txt constraints-oldest.txt
	test -x .venv-oldest/$(SCRIPTS)/python || $(OLDEST) -m venv .venv-oldest
	.venv-oldest/$(SCRIPTS)/$(PIP_INSTALL) --constraint constraints-oldest.txt --editable ".[test]"
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
