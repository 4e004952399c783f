VENV ?= .venv
PYTHON ?= python3
# A release that is tested. On Linux it decides between gigabytes of CUDA packages and a build for
# the CPU: set it to choose another, or install torch into $(VENV) yourself beforehand and set it to
# plain `torch`.
TORCH ?= torch==2.13.0
# A test makes an environment of its own.
export TORCH
# These ask for torchvision, each build of which fits one build of torch, and which MONAI would
# import, slowly, from then on. The tests and benchmarks do without it.
WITHOUT_TORCHVISION := onnx2pytorch timm
PEERS_WITHOUT_TORCHVISION := grad-cam ttach opencv-python-headless quantus
# Tests start some hundred processes. Where bytecode is kept from disk, as containers often have it,
# each of them compiles whatever it imports, for 5 s where that is torch and MONAI.
unexport PYTHONDONTWRITEBYTECODE
# More arguments for pytest, such as `-m "not gui"` or `-k peppr`.
PYTEST_ARGS ?=

BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test tests pyside pyside-here floors lint docs screenshots benchmark clean \
	gui-dependencies

help:
	@echo "make demo         run the main job on the bundled cohort and open napari on the result"
	@echo "make test         run all checks and tests"
	@echo "make pyside       test the window on PySide6, in an environment without PyQt6"
	@echo "make floors       install every dependency at its floor and test that"
	@echo "make lint         run the checks alone: ruff, mypy, import-linter, links of the docs"
	@echo "make docs         build the site of docs/ into site/"
	@echo "make screenshots  draw the README's pictures again"
	@echo "make benchmark    time attribution and aligning beside other libraries"
	@echo "make clean        remove the environment, caches and results of the demo"

demo: $(VENV)/.installed-gui
	$(BIN)/napari-globalxai demo --out demo-run

# What reads the code takes a core for a minute or two: beside the tests, which use two at a time.
test:
	$(MAKE) --jobs 2 $(VENV)/.installed-dev gui-dependencies
	$(MAKE) --jobs 2 lint tests

gui-dependencies:
	scripts/install_gui_dependencies.sh

tests:
ifeq ($(strip $(PYTEST_ARGS)),)
# Two at a time, a thread each; windows on a display each; by itself what is timed.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder \
		--ignore tests/gui
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder \
		--tx "2*popen//python=scripts/with_display.sh $(BIN)/python" -m "not timed" tests/gui
	scripts/with_display.sh $(BIN)/python -m pytest -m timed tests/gui
else
	scripts/with_display.sh $(BIN)/python -m pytest $(PYTEST_ARGS)
endif

# A process that Qt ends is replaced, and its test fails.
pyside:
	$(MAKE) VENV=$(VENV)-pyside pyside-here

pyside-here: $(VENV)/.installed-pyside gui-dependencies
	PYTEST_QT_API=pyside6 OMP_NUM_THREADS=1 $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder \
		--tx "2*popen//python=scripts/with_display.sh $(BIN)/python" \
		-m "gui and not timed" tests/gui $(PYTEST_ARGS)

# With the torch that is tested, unless you ask for another: its floor brings CUDA on Linux.
floors: gui-dependencies
	$(PYTHON) scripts/test_floors.py --gui

lint: $(VENV)/.installed-dev docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What it would say of a release to come is no news here.
docs: $(VENV)/.installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

screenshots: $(VENV)/.installed-dev gui-dependencies
	$(BIN)/napari-globalxai demo --headless --out demo-run
	scripts/with_display.sh $(BIN)/python docs/make_screenshots.py demo-run

benchmark: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --no-deps $(PEERS_WITHOUT_TORCHVISION)
	$(BIN)/python benchmarks/grad_cam.py
	$(BIN)/python benchmarks/pixel_methods.py
	$(BIN)/python benchmarks/pixel_flipping.py
	$(BIN)/python benchmarks/aligning.py

clean:
	rm -rf $(VENV) $(VENV)-pyside build dist site demo-run .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# Stamps keep a second call quick; a change of pyproject.toml installs again.
$(VENV)/.installed-gui: pyproject.toml $(VENV)/.installed-torch
	$(BIN)/python -m pip install --quiet --editable ".[gui]"
	@touch $@

# Most modules are never imported here, and pip would compile them all, for a minute.
$(VENV)/.installed-dev: pyproject.toml $(VENV)/.installed-torch
	$(BIN)/python -m pip install --quiet --no-compile --editable ".[test,dev]"
	$(BIN)/python -m pip install --quiet --no-compile --no-deps $(WITHOUT_TORCHVISION)
	@touch $@

$(VENV)/.installed-pyside: pyproject.toml $(VENV)/.installed-torch
	$(BIN)/python -m pip install --quiet --editable ".[test,gui-pyside6]"
	$(BIN)/python -m pip install --quiet --no-deps $(WITHOUT_TORCHVISION)
# Which the tests' extra brings.
	$(BIN)/python -m pip uninstall --quiet --yes PyQt6 PyQt6-Qt6 PyQt6-sip
	@touch $@

# torch goes first, by itself, so that what needs "torch" later is content with it.
$(VENV)/.installed-torch:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "Python cannot make virtual environments here: install python3-venv (Debian and Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile "$(TORCH)"
	@touch $@
