# One line a task; everything happens in .venv, which the first target makes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHARED ?= ../shared
# Where nvcc is, kernels are compiled for one architecture here; a wheel, which does not come this way, has them all.
export FACEAFFECT_CUDA_ARCHS ?= 87

.PHONY: demo test lint bench native tools clean

demo: $(VENV)/.demo  ## set up, analyze the demo clip, show what came out
	$(BIN)/faceaffect analyze assets/demo.mp4 --out demo_out/rows.csv --overlay demo_out/overlay.mp4 --overwrite
	@echo "rows: demo_out/rows.csv   image: demo_out/overlay.mp4"

test: $(VENV)/.test  ## set up and run the whole test suite
	$(BIN)/python -m pytest

lint: $(VENV)/.test
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks kernels
	$(BIN)/python -m benchmarks pipeline assets/demo.mp4
	$(BIN)/faceaffect bench assets/demo.mp4

native: $(VENV)/.test  ## rebuild the kernels in place
	FACEAFFECT_NATIVE=ON $(BIN)/python -m pip install --no-deps -e .

tools: $(VENV)/.test  ## fetch what some tests need beside packages: TensorRT for RTX, its signatures, a Python for 64-bit Arm
	$(BIN)/python tests/make_tools.py build/tools

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip<27"

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml setup.py CMakeLists.txt $(wildcard csrc/*)
	@echo "installing; the kernels are compiled meanwhile, a minute or more in which pip says nothing"
	$(BIN)/python -m pip install ".[parquet]"
	@mkdir -p demo_out && touch $@

$(VENV)/.test: $(VENV)/bin/python pyproject.toml setup.py CMakeLists.txt $(wildcard csrc/*)
	@echo "installing; the kernels are compiled meanwhile, a minute or more in which pip says nothing"
	$(BIN)/python -m pip install "torch==2.13.0"
	$(BIN)/python -m pip install -e ".[parquet,train,dev]"
	touch $@

clean:
	rm -rf build dist demo_out $(VENV)
