#!/bin/sh
# Runs the tests under AddressSanitizer and ThreadSanitizer: XCTest with both, the Python tests and the fuzzer with
# AddressSanitizer. PYTHON names the interpreter. Takes a while: everything is built twice.
set -e
cd "$(dirname "$0")/../.."
ROOT=$(pwd)
PYTHON=${PYTHON:-python3}
RUNTIME=$(dirname "$(dirname "$(readlink -f "$(command -v swift)")")")/lib/clang/*/lib/linux

build() {
  swift build -c release --sanitize="$1" --scratch-path ".build-$1" -Xswiftc -enable-testing --build-tests
}

xctest() {
  sanitizer=$1
  shift
  swift test -c release --sanitize="$sanitizer" --scratch-path ".build-$sanitizer" -Xswiftc -enable-testing \
    --skip-build "$@"
}

# A copy of the package around the instrumented library. The memory pool is off: what is freed is gone.
python_tests() {
  sanitizer=$1
  shift
  copy=".build-$sanitizer/python"
  rm -rf "$copy"
  mkdir -p "$copy"
  cp -R python/swiftnet "$copy/swiftnet"
  cp ".build-$sanitizer/release/libswiftnet.so" "$copy/swiftnet/"
  preload=$(echo $RUNTIME/libclang_rt.asan-"$(uname -m)".so)
  PYTHONPATH="$ROOT/$copy" PYTHONMALLOC=malloc SWIFTNET_MEMORY_POOL=0 LD_PRELOAD="$preload" \
    ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0:allocator_may_return_null=1 \
    "$PYTHON" "$@"
}

build address
SWIFTNET_MEMORY_POOL=0 ASAN_OPTIONS=detect_leaks=0 xctest address
if [ "$(uname)" = Linux ]; then
  # One process for each file, whose output is not caught: a report of the sanitizer ends the process. Left out are those
  # that start processes of their own or measure memory.
  for tests in python/tests/test_*.py; do
    case $tests in *test_c_interface.py | *test_docs.py | *test_examples.py | *test_fuzz.py | *test_runtime.py) continue ;; esac
    python_tests address -m pytest -q -s -p no:cacheprovider "$tests" > ".build-address/tests.txt" 2>&1 ||
      { cat ".build-address/tests.txt"; exit 1; }
  done
  for seed in 100 101; do
    SWIFTNET_FUZZ_ADDRESS_SPACE=0 python_tests address python/tests/fuzz.py "$seed" 1500 ".build-address/call.txt" ||
      { cat .build-address/call.txt; exit 1; }
  done
fi
build thread
# Kernels know no threads: their reference loops would only take long.
xctest thread --filter SwiftNetTests
