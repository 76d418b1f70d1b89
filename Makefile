# make demo      trains three multi-branch networks on handwritten digits
# make build     .venv, the Swift library and the Python package, in place
# make test      XCTest and pytest, PyTorch parity included
# make lint      swift-format and ruff
# make format    puts both in order
# make bench     swiftnet beside PyTorch (BENCH="--json out.json" for a file)
# make sanitize  the tests under AddressSanitizer and ThreadSanitizer
# make examples  runs the other examples, shortened
# make clean     removes everything that the above have made, runs/ excepted

PYTHON ?= python3
BIN := .venv/bin
SWIFT_SOURCES := Package.swift Sources/KernelTypes Sources/Kernels Sources/KernelsBF16 Sources/SwiftNet Sources/SwiftNetABI Tests examples
# XCTest reaches internal declarations. The library and its tests come out of one build, in a folder of its own,
# so that it does not alternate with the one that users get. What is visible to the tests only, the linker may drop
# from the library: else it would be two megabytes larger than the one that users get.
VISIBLE := -Xswiftc -enable-testing -Xswiftc -Xfrontend -Xswiftc -internalize-at-link \
  -Xswiftc -Xfrontend -Xswiftc -function-sections
TESTING := -c release --scratch-path .build-testing $(VISIBLE)

.PHONY: demo build library test swift-test python-test lint format bench sanitize examples clean

demo: build .venv/.demo
	$(BIN)/python examples/fusion.py $(DEMO)

build: library .venv/.build
	$(BIN)/python setup.py -q build_ext --inplace

library:
	swift build -c release --product swiftnet

test: swift-test python-test

swift-test:
	swift build $(TESTING) --build-tests
	swift test $(TESTING) --skip-build

python-test: export SWIFTNET_SCRATCH = .build-testing
python-test: export SWIFTNET_SWIFT_FLAGS = $(VISIBLE) --build-tests
python-test: .venv/.build .venv/.test
	$(BIN)/python setup.py -q build_ext --inplace
	$(BIN)/python -m pytest -q python/tests $(PYTEST)

lint: .venv/.lint
	swift format lint --strict --recursive --parallel --configuration .swift-format $(SWIFT_SOURCES)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv/.lint
	swift format -i --recursive --parallel --configuration .swift-format $(SWIFT_SOURCES)
	$(BIN)/ruff check -q --fix .
	$(BIN)/ruff format -q .

bench: build .venv/.bench
	$(BIN)/python benchmarks/run.py $(BENCH)

sanitize: .venv/.test
	PYTHON=$(BIN)/python sh Tests/Sanitizers/run.sh

examples: build .venv/.demo
	$(BIN)/python examples/run_all.py
	swift run -c release DeepSupervision 30

clean:
	rm -rf .build .build-* .venv build dist python/*.egg-info python/swiftnet/*.so python/swiftnet/*.dylib

# One mark per group of packages: the extras of pyproject.toml. They come with the package itself, in place.
.venv/.made:
	$(PYTHON) -m venv .venv
	touch $@

.venv/.build: .venv/.made pyproject.toml
	$(BIN)/pip install -q "setuptools>=68" wheel "cffi>=1.16" "numpy>=1.24"
	touch $@

.venv/.demo .venv/.test .venv/.bench: .venv/.%: .venv/.build pyproject.toml
	$(BIN)/pip install -q --no-build-isolation -e ".[$*]"
	touch $@

.venv/.lint: .venv/.made
	$(BIN)/pip install -q ruff
	touch $@
