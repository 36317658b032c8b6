# Each target does its own set-up: a virtual environment in .venv, from the package registry alone.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint wheel clean

# make demo WEIGHTS=squeezenet.h5 PHOTO=cat.jpg     any weights file that scripts/convert_weights.py reads will do
demo: .venv/core
	@test -n "$(WEIGHTS)" -a -n "$(PHOTO)" || \
		{ echo "make demo: give a weights file and a photo: make demo WEIGHTS=FILE PHOTO=FILE"; exit 2; }
	@mkdir -p build
	@case "$(WEIGHTS)" in \
		*.h5) cp "$(WEIGHTS)" build/demo.h5 ;; \
		*) $(BIN)/python scripts/convert_weights.py "$(WEIGHTS)" -o build/demo.h5 ;; esac
	$(BIN)/npgrad classify "$(PHOTO)" --weights build/demo.h5
	$(BIN)/npgrad attribute "$(PHOTO)" --weights build/demo.h5 -o build/demo-saliency.png

# Everything the README claims, against torch and Captum.
test: .venv/dev
	$(BIN)/python -m pytest

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
