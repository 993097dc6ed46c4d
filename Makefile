# Development tasks. Everything runs in .venv, which the first target creates.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHELL := bash
SANITIZE := -fsanitize=address,undefined
.SHELLFLAGS := -o pipefail -ec
SOURCES := pyproject.toml CMakeLists.txt $(wildcard csrc/*)
CPP := $(wildcard csrc/*.h csrc/*.cpp csrc/*.cu csrc/tensorrt_plugin/*.h csrc/tensorrt_plugin/*.cpp)
# pip hides the output of builds; of its verbose log only the packages and the progress of the compiler are shown.
PROGRESS := grep --line-buffered -E "^ *(\[[0-9]+/[0-9]+\]|-- faceaffect|faceaffect:|.*(error|FAILED))|^(Collecting|Successfully|ERROR)"

.PHONY: demo test lint format bench native sanitize tools clean

demo: $(VENV)/.demo  ## set up, analyze the demo clip and show the result
	$(BIN)/faceaffect analyze assets/demo.mp4 --out demo_out/rows.csv --overlay demo_out/overlay.mp4 --overwrite
	@echo "rows: demo_out/rows.csv   overlay: demo_out/overlay.mp4"

test: $(VENV)/.test  ## set up and run the test suite
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

lint: $(VENV)/.test  ## format, lint, types, import contracts and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(CPP)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

format: $(VENV)/.test  ## rewrite the sources in the project's format
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP)

bench: $(VENV)/.test  ## kernel, pipeline and command-line benchmarks
	$(BIN)/python -m benchmarks kernels
	$(BIN)/python -m benchmarks pipeline assets/demo.mp4
	$(BIN)/faceaffect bench assets/demo.mp4

native: $(VENV)/.test  ## rebuild the kernels
	@FACEAFFECT_NATIVE=ON $(BIN)/python -m pip install -v --no-deps -e . 2>&1 | $(PROGRESS)

# The sanitizers' runtime is loaded first; Python itself does not release everything at its end.
# -S leaves out the editable install, whose kernels have no sanitizers; the packages are on PYTHONPATH.
sanitize: $(VENV)/.test  ## kernels with address and undefined-behavior sanitizers: tests and fuzzing
	$(BIN)/cmake --version > /dev/null 2>&1 || $(BIN)/python -m pip install --quiet "cmake<5" "ninja<2" "pybind11<4"
	PATH=$$PWD/$(BIN):$$PATH $(BIN)/cmake -S . -B build/sanitize -G Ninja -DFACEAFFECT_CUDA=OFF -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	  -DCMAKE_CXX_FLAGS="$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer" -DCMAKE_MODULE_LINKER_FLAGS="$(SANITIZE)" \
	  -DPython_EXECUTABLE=$$PWD/$(BIN)/python -Dpybind11_DIR=$$($(BIN)/python -m pybind11 --cmakedir)
	$(BIN)/cmake --build build/sanitize
	rm -rf build/sanitize/sdk && cp -r sdk build/sanitize/sdk
	rm -f build/sanitize/sdk/faceaffect/kernels/_native*.so && cp build/sanitize/_native*.so build/sanitize/sdk/faceaffect/kernels/
	packages=$$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('platlib'))"); \
	  export LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" ASAN_OPTIONS=detect_leaks=0 \
	  PYTHONPATH=$$PWD/build/sanitize/sdk:$$PWD:$$packages; \
	  $(BIN)/python -S -c "from faceaffect.kernels.native import native; assert 'build/sanitize' in native.__file__" && \
	  $(BIN)/python -S -m pytest -q -p no:cacheprovider tests/sdk/kernels tests/reliability/test_kernels_alignment.py && \
	  $(BIN)/python -S -m tests.reliability.fuzz kernels --minutes 1 --no-atheris

tools: $(VENV)/.test  ## TensorRT for RTX, TensorRT stubs and a Python for 64-bit Arm, which some tests use
	$(BIN)/python tests/make_tools.py build/tools

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip<27"

$(VENV)/.demo: $(VENV)/bin/python $(SOURCES)
	@echo "installing faceaffect and compiling its kernels (one to two minutes)"
	@$(BIN)/python -m pip install -v ".[parquet]" 2>&1 | $(PROGRESS)
	@mkdir -p demo_out && touch $@

$(VENV)/.test: $(VENV)/bin/python $(SOURCES)
	$(BIN)/python -m pip install "torch==2.13.0"
	@echo "installing faceaffect with its development tools and compiling its kernels (one to two minutes)"
	@$(BIN)/python -m pip install -v -e ".[parquet,live,train,docs,dev]" 2>&1 | $(PROGRESS)
	touch $@

clean:
	rm -rf build dist demo_out $(VENV)
